"""A worker in an actor of Ray: the half that runs on a node, and the half that the pool holds."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import retouch
from retouch.batch.entry import Painted
from retouch.batch.remote.worker import Ready, WorkerLost
from retouch.batch.rows import Row
from retouch.errors import BadInput, EngineClosed

if TYPE_CHECKING:
    from retouch.batch.job import Engaged

Engage = Callable[[], AbstractContextManager["Engaged"]]


@dataclass(frozen=True, slots=True)
class Needs:
    """What an actor takes of its node."""

    cpus: int = 1
    gpus: int = 0


class PaintingActor:
    """An engine in a process of its own.

    Its constructor does nothing: what goes wrong in `start` reaches the pool as the error that it is.
    """

    def __init__(self) -> None:
        self._held = ExitStack()
        self._engaged: Engaged | None = None
        self._threads: ThreadPoolExecutor | None = None

    async def start(self, engage: Engage, version: str) -> tuple[str, Ready]:
        """Load the model; return the node's id, and what the pool asks of a worker.

        Raises:
            BadInput: the node has another version of this package.
        """
        import ray

        if version != retouch.__version__:
            raise BadInput(f"a node has retouch {retouch.__version__}, and this machine {version}")
        engaged = await asyncio.to_thread(lambda: self._held.enter_context(engage()))
        self._engaged = engaged
        self._threads = ThreadPoolExecutor(engaged.width, thread_name_prefix="retouch-batch")
        return ray.get_runtime_context().get_node_id(), Ready(engaged.width, engaged.facts)

    async def paint(self, row: Row) -> Painted:
        """Return what a row became."""
        assert self._engaged is not None
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self._engaged.painter.paint, row)


class ActorWorker:
    """An actor, asked for when it is made and placed by Ray when there is room for it."""

    def __init__(self, engage: Any, needs: Needs) -> None:
        """Ask for an actor.

        Args:
            engage: a reference to an `Engage` in Ray's object store.
        """
        import ray

        remote = ray.remote(PaintingActor)
        # No restarts by Ray: it would put the same rows to the same process, however often they end it.
        self._actor = remote.options(num_cpus=needs.cpus, num_gpus=needs.gpus, max_restarts=0).remote()
        self._engage = engage
        self._node = ""

    def start(self) -> Ready:
        ready: Ready
        self._node, ready = self._get(self._actor.start.remote(self._engage, retouch.__version__))
        return ready

    def paint(self, row: Row) -> Painted:
        painted: Painted = self._get(self._actor.paint.remote(row))
        return painted

    def end(self) -> None:
        import ray

        ray.kill(self._actor)

    def _get(self, reference: Any) -> Any:
        import ray
        from ray.exceptions import RayError, RayTaskError

        try:
            return ray.get(reference)
        except RayTaskError as error:
            if isinstance(error.cause, EngineClosed):
                raise WorkerLost("its engine is gone", takes_blame=True) from error
            raise error.cause from error
        except RayError as error:
            raise WorkerLost(type(error).__name__, takes_blame=self._node in _nodes()) from error


def _nodes() -> set[str]:
    """Return the ids of the nodes that are there."""
    import ray

    return {node["NodeID"] for node in ray.nodes() if node["Alive"]}
