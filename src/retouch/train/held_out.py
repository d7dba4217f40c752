"""What a phase is measured on and drawn from, and never trained on."""

import logging
from collections.abc import Callable

import torch

from retouch.errors import BadInput
from retouch.models.components import Components
from retouch.train.config import DataConfig, PhaseConfig
from retouch.train.folder_source import first_cuts, open_folder
from retouch.train.latents import LatentCache
from retouch.train.loop import Trainer
from retouch.train.phase import RowSource
from retouch.train.photographs import Cuts
from retouch.train.split import Split, split_folder
from retouch.train.validation import validation_losses

logger = logging.getLogger(__name__)

FOLDER_ROWS = 64
"""Examples that a loss is measured on where a few pictures are held out."""
MOST_DRAWN = 6


class HeldOut:
    """Opens a phase's held-out examples when they are first asked for; used by one thread."""

    def __init__(
        self, parts: Components, device: torch.device, *, split: Callable[[DataConfig], Split] = split_folder
    ) -> None:
        """`split` says what is held out: a run's own, whatever was put into the folder since it began."""
        self._parts = parts
        self._split = split
        self._device = device
        self._opened: dict[str, RowSource | None] = {}

    def losses(self, trainer: Trainer) -> dict[str, float]:
        """The losses on the phase's held-out examples; nothing where it has none."""
        phase = trainer.phase
        source = self._source(phase)
        if source is None:
            return {}
        if phase.data.kind == "folder" and phase.data.validation is None:
            return validation_losses(trainer, source, rows=FOLDER_ROWS)
        return validation_losses(trainer, source)

    def pictures(self, phase: PhaseConfig) -> list[tuple[Cuts, str]]:
        """Held-out pictures of a folder, each with a mask and its caption."""
        if phase.data.kind != "folder":
            return []
        try:
            return first_cuts(self._split(phase.data).held_out[:MOST_DRAWN], phase.data, self._parts)
        except BadInput as error:  # a picture that was changed meanwhile ends no run
            logger.warning("no held-out picture is drawn: %s", error)
            return []

    def _source(self, phase: PhaseConfig) -> RowSource | None:
        if phase.reads not in self._opened:
            self._opened[phase.reads] = self._open(phase)
        return self._opened[phase.reads]

    def _open(self, phase: PhaseConfig) -> RowSource | None:
        if phase.data.validation is not None:
            return LatentCache(phase.data.validation)
        if phase.data.kind != "folder":
            return None
        items = self._split(phase.data).held_out
        if not items:
            logger.warning("no picture of %s is held out: no loss is measured", phase.data.folder)
            return None
        try:
            return open_folder(items, phase, self._parts, self._device)
        except BadInput as error:
            logger.warning("no loss is measured on what is held out: %s", error)
            return None
