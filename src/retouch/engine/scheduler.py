"""The engine's policy: who may wait, who takes turns, who shares the next call and how large that is."""

from collections import deque
from collections.abc import Hashable, Sequence
from enum import Enum
from typing import Generic, Protocol, TypeVar

from retouch.engine.settings import ROWS_PER_PICTURE, EngineSettings
from retouch.errors import QueueFull

_PATIENCE_S = 2.0
"""Where the background has had no call for so long, it has one before the others: a stream of requests leaves
a batch a small share, and does not stop it."""
_TEXT_ROWS = 2  # a prompt and its negative; also what text calls are padded to where the row count is fixed


class Stage(Enum):
    """The four kinds of work, each a call of one model."""

    TEXT = "encode text"
    PICTURES = "encode pictures"
    STEP = "step"
    DECODE = "decode"


class Waiting(Protocol):
    """One that waits for calls until it is done.

    Attributes:
        kind, key: only equal ones share a call.
        rows: how many rows of the next call it takes.
        since: when its last call ended, or it came.
        unet_rows: rows that it brings to a UNet call: two when guided.
        size_bytes: memory that it holds while it waits.
        calls_left: UNet calls that it still needs.
        is_background: whoever is not goes first.
    """

    @property
    def kind(self) -> Stage: ...
    @property
    def key(self) -> Hashable: ...
    @property
    def rows(self) -> int: ...
    @property
    def since(self) -> float: ...
    @property
    def unet_rows(self) -> int: ...
    @property
    def size_bytes(self) -> int: ...
    @property
    def calls_left(self) -> int: ...
    @property
    def is_background(self) -> bool: ...


W = TypeVar("W", bound=Waiting)


class CallSizes:
    """How many rows go into one call.

    Attributes:
        row_cap: most rows of one UNet call; `halve` lowers it.
        is_fixed: every UNet call has the same number of rows.
    """

    def __init__(self, settings: EngineSettings, *, row_cap: int) -> None:
        self.is_fixed = settings.rows_per_call > 0
        self.row_cap = settings.rows_per_call or row_cap
        self._vae_rows = settings.vae_rows
        self._is_halved = False

    def most_rows(self, kind: Stage, *, is_guided: bool = True) -> int:
        """Return how many rows of a kind go into one call.

        Where the row count is fixed, unguided trajectories, which bring one row and not two, share calls of half
        the rows among themselves: as many pictures a call as guided ones, and no padding for the lone one.
        """
        if kind is Stage.TEXT:
            return _TEXT_ROWS if self.is_fixed else max(_TEXT_ROWS, self.row_cap)
        if kind is Stage.STEP:
            return self.row_cap if is_guided or not self.is_fixed else max(1, self.row_cap // 2)
        return self._vae_rows or max(1, self.row_cap // ROWS_PER_PICTURE)

    def halve(self) -> bool:
        """Halve the row cap, once; never where the row count is fixed, for it decides the pixels."""
        if self._is_halved or self.is_fixed or self.row_cap == 1:
            return False
        self._is_halved = True
        self.row_cap //= 2
        return True


class Scheduler(Generic[W]):
    """Who waits for a place, and who takes turns. Whoever calls it holds the engine's lock."""

    def __init__(self, settings: EngineSettings, sizes: CallSizes) -> None:
        self._settings = settings
        self._sizes = sizes
        self._queued: deque[W] = deque()
        self._active: list[W] = []

    @property
    def waiting(self) -> list[W]:
        """All who were added and not removed, those with a place first."""
        return [*self._active, *self._queued]

    @property
    def active(self) -> int:
        return len(self._active)

    @property
    def unet_rows(self) -> int:
        return sum(one.unet_rows for one in self.waiting)

    @property
    def size_bytes(self) -> int:
        return sum(one.size_bytes for one in self.waiting)

    def add(self, one: W, *, row_s: float | None) -> None:
        """Let one wait for a place; the bounds of the queue hold for the background by itself.

        Args:
            row_s: seconds that a UNet's row has cost so far.
        Raises:
            QueueFull: too many rows or bytes wait already; says when to come again.
        """
        waiting = [other for other in self.waiting if other.is_background == one.is_background]
        rows = sum(other.unet_rows for other in (*waiting, one))
        size_bytes = sum(other.size_bytes for other in (*waiting, one))
        if rows > self._settings.max_queued_rows or size_bytes > self._settings.max_queued_bytes:
            work = sum(other.unet_rows * other.calls_left for other in waiting)
            wait_s = (1.0 if row_s is None else work * row_s) / max(1, len(waiting))
            raise QueueFull(
                f"{len(waiting)} pictures are waiting",
                hint=f"try again in {wait_s:.0f} s",
                retry_after_s=wait_s,
            )
        self._queued.append(one)

    def admit(self) -> list[W]:
        """Give places to those who came first, as many as take turns at once; return who got one.

        What the background holds keeps nobody else out.
        """
        admitted = [*self._admit(is_background=False), *self._admit(is_background=True)]
        self._queued = deque(one for one in self._queued if one not in admitted)
        return admitted

    def _admit(self, *, is_background: bool) -> list[W]:
        seated = [one for one in self._active if is_background or not one.is_background]
        places = self._settings.active_calls * self._sizes.row_cap - sum(one.unet_rows for one in seated)
        admitted: list[W] = []
        for one in self._queued:
            if one.is_background == is_background:
                if (seated or admitted) and one.unet_rows > places:
                    break
                places -= one.unet_rows
                admitted.append(one)
        self._active += admitted
        return admitted

    def next(self) -> list[W]:
        """Return who shares the next call, the longest waiting first; somebody must have a place.

        The background waits for all others. It shares no call with them: one of more rows would take them longer.
        """
        company = self._foremost()
        first = min(company, key=lambda one: one.since)
        is_guided = first.unet_rows > 1
        if self._sizes.is_fixed:  # the size of a call depends on guidance, and so must who shares it
            company = [one for one in company if (one.unet_rows > 1) == is_guided]
        return choose(company, self._sizes.most_rows(first.kind, is_guided=is_guided))

    def _foremost(self) -> list[W]:
        """Return those of whom the next call is: the background where there is nobody else, or it is its turn."""
        background = [one for one in self._active if one.is_background]
        others = [one for one in self._active if not one.is_background]
        if not others or not background:
            return others or background
        had_call = max(one.since for one in background)
        return background if had_call + _PATIENCE_S < min(one.since for one in others) else others

    def remove(self, ended: Sequence[W]) -> None:
        """Forget those who wait for nothing more."""
        self._active = [one for one in self._active if one not in ended]
        self._queued = deque(one for one in self._queued if one not in ended)


def choose(waiting: Sequence[W], row_cap: int) -> list[W]:
    """Pick the longest waiting, with all who wait for the same and fit beside it.

    Args:
        waiting: in order of arrival, which settles ties.
        row_cap: most rows together; one that needs more goes alone.
    Returns:
        Who joins the call, the longest waiting first; empty where nobody waits.
    """
    queue = sorted(waiting, key=lambda one: one.since)
    if not queue:
        return []
    head = queue[0]
    joined, rows = [head], head.rows
    for other in queue[1:]:
        if (other.kind, other.key) == (head.kind, head.key) and rows + other.rows <= row_cap:
            joined.append(other)
            rows += other.rows
    return joined
