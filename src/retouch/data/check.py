"""Read every sample of many shards once, several shards at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from retouch.data.shards import ShardReader, Tally


def check_shards(shards: Sequence[str], *, workers: int = 1) -> Iterator[tuple[str, Tally]]:
    """Yield each shard with what was read of it and what was not, in order."""
    if workers < 2 or len(shards) < 2:
        yield from zip(shards, map(_check, shards), strict=True)
        return
    with ProcessPoolExecutor(min(workers, len(shards)), mp_context=get_context("spawn")) as processes:
        yield from zip(shards, processes.map(_check, shards), strict=True)


def _check(shard: str) -> Tally:
    reader = ShardReader([shard])
    for _ in reader:
        continue
    return reader.tally
