from pathlib import Path

import numpy as np

from retouch.data.compose import SceneComposer
from retouch.data.export import ExportOptions, export_shards
from retouch.data.shards import ShardReader


def test_exported_scenes_come_back_from_the_reader(composer: SceneComposer, tmp_path: Path):
    paths = export_shards(composer, tmp_path, ExportOptions(count=7, per_shard=3, seed=40))
    assert [path.name for path in paths] == ["00000.tar", "00001.tar", "00002.tar"]
    reader = ShardReader([str(path) for path in paths])
    samples = list(reader)
    assert len(samples) == 7
    assert not reader.tally.broken
    for index, sample in enumerate(samples):
        scene = composer.scene(np.random.default_rng(40 + index))
        assert sample.key == f"{index:09d}"
        assert sample.caption == scene.caption
        assert sample.metadata["concept"] == scene.concept
        assert sample.mask is not None
        assert np.array_equal(sample.mask, scene.mask)
        assert np.abs(sample.image.astype(int) - scene.image).mean() < 6


def test_the_same_seed_writes_the_same_bytes(composer: SceneComposer, tmp_path: Path):
    for name in ("a", "b"):
        export_shards(composer, tmp_path / name, ExportOptions(count=2, seed=1))
    assert (tmp_path / "a/00000.tar").read_bytes() == (tmp_path / "b/00000.tar").read_bytes()
    assert not list(tmp_path.rglob("*.partial"))
