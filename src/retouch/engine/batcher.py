"""The batcher: who shares the next call."""

from collections.abc import Hashable, Iterator, Sequence
from enum import Enum
from typing import Protocol, TypeVar


class Kind(Enum):
    """The four kinds of work, each a call of one model."""

    TEXT = "encode text"
    PICTURES = "encode pictures"
    STEP = "step"
    DECODE = "decode"


class Waiting(Protocol):
    """One that waits for a call.

    Attributes:
        kind, key: only equal ones share a call.
        rows: how many rows of the call it takes.
        since: when its last call ended, or it came.
    """

    @property
    def kind(self) -> Kind: ...
    @property
    def key(self) -> Hashable: ...
    @property
    def rows(self) -> int: ...
    @property
    def since(self) -> float: ...


W = TypeVar("W", bound=Waiting)
T = TypeVar("T")


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


def chunks(rows: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """Cut rows into calls of at most `size`."""
    for start in range(0, len(rows), size):
        yield rows[start : start + size]
