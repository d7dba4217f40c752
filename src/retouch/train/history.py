"""Checkpoints of a run: the newest as `checkpoint.pt`, some before it by their phase and step."""

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from retouch.errors import InvalidField, ModelError
from retouch.train.storage import load_state, save_atomically

logger = logging.getLogger(__name__)

NEWEST = "checkpoint.pt"


def check_same(saved: Mapping[str, object], found: Mapping[str, object]) -> None:
    """Compare what decides a run's weights: what its checkpoint was made with, and what it finds now.

    What an older checkpoint does not say is not compared.

    Raises:
        InvalidField: they differ; it says in what.
    """
    for name, before in saved.items():
        if name in found and found[name] != before:
            raise InvalidField(
                name,
                f"the checkpoint was made with {before}, the recipe says {found[name]}",
                hint="put it back, begin anew in another folder, or go on all the same with --accept-changes",
            )


class History:
    """The checkpoints in a run's folder; one process writes, any may read."""

    def __init__(self, folder: Path, *, keep: int = 1) -> None:
        self._folder = folder
        self._keep = keep

    def save(self, state: dict[str, Any]) -> None:
        """Write the newest checkpoint; the one before it is kept under its own name, the oldest are removed."""
        newest = self._folder / NEWEST
        if self._keep > 1 and newest.exists():
            self._keep_older(newest, state)
        save_atomically(state, newest)
        for old in self._older()[max(0, self._keep - 1) :]:
            old.unlink()

    def load(self) -> dict[str, Any] | None:
        """Return the newest checkpoint that is whole, None where there is none at all.

        Raises:
            ModelError: there are some, and none can be read.
        """
        files = [file for file in (self._folder / NEWEST, *self._older()) if file.exists()]
        for file in files:
            try:
                found: dict[str, Any] = load_state(file)
                return found
            except (RuntimeError, OSError, EOFError, ValueError) as error:
                logger.warning("%s cannot be read, so the one before it is taken: %s", file.name, error)
        if files:
            hint = "begin anew in another folder, or put a whole checkpoint there"
            raise ModelError(f"no checkpoint in {self._folder} can be read", hint=hint)
        return None

    def _keep_older(self, newest: Path, state: dict[str, Any]) -> None:
        try:
            before = load_state(newest)
        except (RuntimeError, OSError, EOFError, ValueError):
            return  # what cannot be read is not worth keeping
        if (before["phase"], before["step"]) == (state["phase"], state["step"]):
            return
        own = self._folder / f"checkpoint-{before['phase']:02d}-{before['step']:09d}.pt"
        own.unlink(missing_ok=True)
        try:
            os.link(newest, own)  # so that there is a newest one all along
        except OSError:
            newest.replace(own)

    def _older(self) -> list[Path]:
        """Return the kept ones, the newest first: their names sort by phase and step."""
        return sorted(self._folder.glob("checkpoint-*.pt"), reverse=True)
