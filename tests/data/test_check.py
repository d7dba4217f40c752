"""Many shards are checked, several at a time."""

from pathlib import Path

import pytest
from tests.data.test_shards import sample, write_tar

from retouch.data.check import check_shards


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_each_shard_is_told_with_what_was_read_of_it(tmp_path: Path, workers: int) -> None:
    whole = write_tar(tmp_path / "0.tar", [*sample(0), *sample(1)])
    cut = tmp_path / "1.tar"
    cut.write_bytes(whole.read_bytes()[: 512 * 8])
    shards = [str(whole), str(cut), str(tmp_path / "missing.tar")]
    found = {shard: (tally.read, dict(tally.broken)) for shard, tally in check_shards(shards, workers=workers)}
    assert found == {
        shards[0]: (2, {}),
        shards[1]: (1, {"shard: cut short": 1}),
        shards[2]: (0, {"shard: cannot be opened": 1}),
    }
