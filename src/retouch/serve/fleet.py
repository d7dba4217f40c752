"""The engines of a server: one a device, changed for others while work goes on."""

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from retouch.errors import EngineClosed
from retouch.inpainter import Inpainter
from retouch.request import InpaintRequest
from retouch.safety.checkers import is_local
from retouch.safety.judge import inspect
from retouch.safety.views import Exhibit

log = logging.getLogger(__name__)

_WARM_UP_SIDE = 64


@dataclass(slots=True, eq=False)
class Crew:
    """The engines that were loaded together, and how much each has under way.

    Attributes:
        inpainters: one a device, all of one model.
        rows: pictures under way, by engine.
        name: what clients call the model. Settled when it is loaded: later its files may be elsewhere, and what
            was their path would not be known for one.
    """

    inpainters: Sequence[Inpainter]
    rows: list[int] = field(init=False)
    name: str = field(init=False)

    def __post_init__(self) -> None:
        self.rows = [0] * len(self.inpainters)
        name = self.inpainters[0].bundle.name
        self.name = Path(name).name if Path(name).exists() else name


class Fleet:
    """Gives each request to the least loaded engine; usable from any thread."""

    def __init__(self, load: Callable[[], Sequence[Inpainter]]) -> None:
        """Load the engines and try them.

        Args:
            load: makes the engines, now and at each `reload`.
        Raises:
            RetouchError: they cannot be loaded, or gave no picture.
        """
        self._load = load
        self._changed = threading.Condition()
        self._reloading = threading.Lock()
        self._crew = Crew(load())
        for inpainter in self._crew.inpainters:
            warm_up(inpainter)

    @property
    def inpainters(self) -> Sequence[Inpainter]:
        """Return the engines that new work goes to."""
        return self._crew.inpainters

    @property
    def model_name(self) -> str:
        """What clients call the model: never a path of this machine."""
        return self._crew.name

    def board(self, rows: int) -> "Seat":
        """Return a seat on the engine that has least under way."""
        with self._changed:
            crew = self._crew
            at = crew.rows.index(min(crew.rows))
            crew.rows[at] += rows
        return Seat(self, crew, at, rows)

    def reload(self) -> None:
        """Load the model's files again beside what runs, then give new work to it; running work ends on the old.

        Raises:
            RetouchError: the new files cannot be loaded or give no picture; nothing has changed then.
        """
        with self._reloading:
            crew = Crew(self._load())
            try:
                for inpainter in crew.inpainters:
                    warm_up(inpainter)
            except BaseException:
                _close(crew, drain=False)
                raise
            with self._changed:
                self._crew, old = crew, self._crew
                # Who took a seat may still be on the way to its engine.
                self._changed.wait_for(lambda: not any(old.rows))
            _close(old, drain=True)

    def close(self, *, drain: bool) -> None:
        """End the engines."""
        _close(self._crew, drain=drain)

    def _leave(self, seat: "Seat") -> None:
        with self._changed:
            seat.crew.rows[seat.at] -= seat.rows
            self._changed.notify_all()


@dataclass(slots=True, eq=False)
class Seat:
    """A place on one engine."""

    _fleet: Fleet
    crew: Crew
    at: int
    rows: int

    @property
    def inpainter(self) -> Inpainter:
        return self.crew.inpainters[self.at]

    def leave(self) -> None:
        """Give the place back; a second time is without effect."""
        self._fleet._leave(self)
        self.rows = 0


def warm_up(inpainter: Inpainter) -> None:
    """Make a picture of one step: it loads what is loaded late, and shows that the weights give numbers.

    Services that screen and judge are not asked: one that is away must not keep a server from starting. Once it
    has, nothing passes without them.

    Raises:
        NonFinite: they do not.
    """
    image = np.full((_WARM_UP_SIDE, _WARM_UP_SIDE, 3), 127, np.uint8)
    mask = np.zeros((_WARM_UP_SIDE, _WARM_UP_SIDE), np.uint8)
    mask[_WARM_UP_SIDE // 4 : -_WARM_UP_SIDE // 4, _WARM_UP_SIDE // 4 : -_WARM_UP_SIDE // 4] = 255
    # Strength 1: with an empty prompt a checkpoint may advise to ask no model.
    request = InpaintRequest(
        "", image, mask, num_inference_steps=1, strength=1.0, seed=0, scheduler="DDIM", safety="off"
    )
    picture = inpainter.run(request).fills[0].picture
    inspect(Exhibit(picture), [checker for checker in inpainter.checkers if is_local(checker)], "black")


def _close(crew: Crew, *, drain: bool) -> None:
    for inpainter in crew.inpainters:
        try:
            inpainter.close(drain=drain)
        except EngineClosed:  # somebody else did
            log.debug("an engine was closed twice")
