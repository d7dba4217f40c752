"""`Worker`: what a pool asks of a model somewhere else."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from retouch.batch.entry import Painted
from retouch.batch.rows import Row


class WorkerLost(Exception):
    """A worker is gone, with what it was painting.

    Attributes:
        takes_blame: what it was painting may have ended it; else its machine is gone as a whole.
    """

    def __init__(self, message: str, *, takes_blame: bool) -> None:
        super().__init__(message)
        self.takes_blame = takes_blame


@dataclass(frozen=True, slots=True)
class Ready:
    """What a worker tells once its model is loaded.

    Attributes:
        width: rows that it wants at once.
        facts: what decides its pictures, as of `Engaged`.
    """

    width: int
    facts: Mapping[str, Any]


class Worker(Protocol):
    """A model somewhere else. Several threads may use it at once."""

    def start(self) -> Ready:
        """Wait for its place and its model.

        Raises:
            RetouchError: there can be none.
            WorkerLost: it is gone.
        """
        ...

    def paint(self, row: Row) -> Painted:
        """Return what a row became.

        Raises:
            WorkerLost: it is gone.
        """
        ...

    def end(self) -> None:
        """End it, whatever it does; what waits for it raises `WorkerLost`."""
        ...
