"""Actors of a cluster as the painter of a batch."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from retouch.batch.job import Engaged
from retouch.batch.remote.actor import ActorWorker, Engage, Needs
from retouch.batch.remote.pool import Pool
from retouch.batch.rows import Columns, Row


@contextmanager
def engaged_actors(
    engage: Engage, needs: Needs, count: int, *, prepare: Callable[[Row], Row], columns: Columns
) -> Iterator[Engaged]:
    """Give a painter that uses actors of the cluster that was joined, which end when the block ends.

    Args:
        engage: gives the painter of an actor, in the actor; it must be something that can be pickled.
        needs, count: what an actor takes of its node, and how many there shall be.
        prepare, columns: as for `Pool`.
    Raises:
        RetouchError: the model cannot be loaded there.
    """
    import ray

    sent = ray.put(engage)
    pool = Pool(lambda: ActorWorker(sent, needs), count, prepare=prepare, columns=columns)
    try:
        first = pool.ready()
        yield Engaged(pool, first.width * count, first.facts)
    finally:
        pool.close()
