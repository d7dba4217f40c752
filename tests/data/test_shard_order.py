"""The order of samples: all of them once an epoch, few shards at a time."""

import numpy as np

from retouch.data.shard_order import ShardOrder

COUNTS = np.array([3, 0, 5, 1, 4, 0, 2, 7, 6, 2])


def order(seed: int = 0, window: int = 3) -> ShardOrder:
    return ShardOrder(COUNTS, seed=(seed,), window=window)


def test_every_sample_comes_once_an_epoch_in_another_order_each_time() -> None:
    samples = {(shard, n) for shard, count in enumerate(COUNTS) for n in range(count)}
    epochs = [[order().locate(e * 30 + n) for n in range(30)] for e in range(3)]
    assert all(set(epoch) == samples and len(epoch) == len(samples) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 3


def test_a_number_says_which_sample_whatever_was_asked_before() -> None:
    asked = np.random.default_rng(1).integers(0, 200, 100)
    reader = order()
    assert [reader.locate(int(n)) for n in asked] == [order().locate(int(n)) for n in asked]


def test_another_seed_is_another_order() -> None:
    assert [order(0).locate(n) for n in range(30)] != [order(1).locate(n) for n in range(30)]


def test_no_more_than_a_window_of_shards_is_touched_before_the_next() -> None:
    for window in (1, 2, 3, 8, 100):
        reader = order(window=window)
        seen = [reader.locate(n)[0] for n in range(30)]
        for shard in set(seen):
            first, last = seen.index(shard), 29 - seen[::-1].index(shard)
            assert len(set(seen[first : last + 1])) <= window


def test_samples_of_a_window_are_mixed() -> None:
    reader = ShardOrder(np.full(4, 100), seed=(0,), window=4)
    assert len({reader.locate(n)[0] for n in range(20)}) == 4


def test_a_substitute_is_another_sample_of_the_same_window() -> None:
    reader = order(window=2)
    for number in range(30):
        shard, _ = reader.locate(number)
        others = {reader.locate(number, turn) for turn in range(1, 40)}
        assert reader.locate(number) in others  # once around
        assert len({one for one, _ in others} | {shard}) <= 2


def test_a_hundred_million_samples_are_no_burden() -> None:
    reader = ShardOrder(np.full(10_000, 10_000), seed=(0,), window=16)
    found = {reader.locate(n) for n in range(10**7, 10**7 + 1000)}
    assert len(found) == 1000
    assert len({shard for shard, _ in found}) <= 16
