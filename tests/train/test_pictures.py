"""Pictures by number, from scenes and from shards."""

import io
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from retouch.data.compose import SceneComposer
from retouch.data.export import ExportOptions, export_shards
from retouch.data.shard_index import open_index
from retouch.errors import ModelError
from retouch.train.pictures import SceneReader, ShardPictures, draw_mask, random_box


@pytest.fixture(scope="module")
def shards(data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shards")
    composer = SceneComposer.open(data_dir, size=48)
    export_shards(composer, folder, ExportOptions(count=12, per_shard=5))
    return folder


def opened(folder: Path, size: int = 16, seed: int = 0, **options: Any) -> ShardPictures:
    return ShardPictures(open_index(str(folder)), size=size, full_mask_rate=0.25, seed=(seed,), **options)


def test_same_number_gives_the_same_picture_mask_and_caption(shards: Path) -> None:
    one, two = (opened(shards, size=32) for _ in range(2))
    for number in (0, 11, 12, 1234):
        first, second = one.read(number), two.read(number)
        assert first.image.shape == (32, 32, 3)
        assert first.caption == second.caption != ""
        assert np.array_equal(first.image, second.image)
        assert np.array_equal(first.mask, second.mask)


def test_scenes_of_another_number_or_seed_are_others(data_dir: Path) -> None:
    readers = [SceneReader(data_dir, size=16, seed=(seed,)) for seed in (0, 1)]
    found = {reader.read(number).image.tobytes() for reader in readers for number in range(4)}
    assert len(found) == 8


def test_every_picture_comes_once_an_epoch(shards: Path) -> None:
    reader = opened(shards, window=1)
    epochs = [[reader.read(epoch * 12 + number).image.tobytes() for number in range(12)] for epoch in range(2)]
    assert len(set(epochs[0])) == 12
    assert set(epochs[0]) == set(epochs[1])
    assert epochs[0] != epochs[1]


def test_broken_picture_gives_way_to_another_and_is_named(tmp_path: Path) -> None:
    write_shard(tmp_path / "0.tar", {"a.png": b"nonsense", "a.txt": b"bad", "b.png": png(), "b.txt": b"good"})
    found = [opened(tmp_path).read(number) for number in range(20)]
    assert {picture.caption for picture in found} == {"good"}
    assert [name for picture in found for name in picture.passed_over] == ["0.tar, sample 0: image_format"] * 10


def test_shards_of_broken_pictures_alone_are_an_error(tmp_path: Path) -> None:
    write_shard(tmp_path / "0.tar", {"a.png": b"nonsense", "a.txt": b"bad"})
    with pytest.raises(ModelError, match="hardly any"):
        opened(tmp_path).read(5)


def test_truncated_and_empty_shards_leave_the_pictures_of_the_others(shards: Path, tmp_path: Path) -> None:
    for file in shards.glob("*.tar"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "00001.tar").write_bytes((tmp_path / "00001.tar").read_bytes()[:9000])
    (tmp_path / "9.tar").write_bytes(b"")
    samples = int(open_index(str(tmp_path)).counts.sum())
    assert 7 < samples < 12
    found = [opened(tmp_path).read(number) for number in range(samples)]
    assert len({picture.image.tobytes() for picture in found}) == samples
    assert not any(picture.passed_over for picture in found)


def test_mask_of_a_sample_is_cut_as_its_picture_is(tmp_path: Path) -> None:
    pixels = np.zeros((24, 40, 3), np.uint8)
    pixels[:, 12:30] = 255
    files = {"a.png": png(pixels), "a.mask.png": png(pixels[..., 0]), "a.txt": b"a"}
    write_shard(tmp_path / "0.tar", files)
    reader = opened(tmp_path, size=24)
    found = [reader.read(number) for number in range(40)]
    own = [np.array_equal(picture.mask, picture.image[..., 0] > 127) for picture in found]
    assert all(same or picture.mask.all() for same, picture in zip(own, found, strict=True))
    assert 20 <= sum(own) < 40  # a quarter is masked everywhere


def test_full_masks_come_at_their_rate() -> None:
    rng = np.random.default_rng(0)
    full = sum(draw_mask(rng, 32, full_rate=0.25).all() for _ in range(2000))
    # Thick strokes may cover a small picture by themselves now and then.
    assert abs(full / 2000 - 0.25) < 4 * (0.25 * 0.75 / 2000) ** 0.5 + 0.03


def test_random_box_takes_the_whole_shorter_side() -> None:
    for seed in range(20):
        left, top, right, bottom = random_box(60, 30, np.random.default_rng(seed))
        assert (top, bottom, right - left) == (0, 30, 30)
        assert 0 <= left <= 30


def png(pixels: NDArray[np.uint8] | None = None) -> bytes:
    buffer = io.BytesIO()
    image = Image.new("RGB", (20, 20), "red") if pixels is None else Image.fromarray(pixels)
    image.save(buffer, "PNG")
    return buffer.getvalue()


def write_shard(path: Path, files: dict[str, bytes]) -> None:
    with tarfile.open(path, "w") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
