"""Rows from a folder of people's own pictures."""

import logging
import struct
import zlib
from pathlib import Path

import pytest
import torch
from PIL import Image
from tests.factories import make_checkpoint
from tests.train.photographs import data_of, phase_of, photograph, write_photographs

from retouch.errors import BadInput, InvalidField, MaskEmpty
from retouch.models.components import Components
from retouch.train.config import DataConfig, ModelConfig, PhaseConfig
from retouch.train.folder_source import FolderLatents, cut_spec, first_cuts, open_folder
from retouch.train.origin import load_origin
from retouch.train.phase import ShapedSource
from retouch.train.rows import Place
from retouch.train.split import split_folder

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Components:
    folder = make_checkpoint(tmp_path_factory.mktemp("base") / "tiny")
    return load_origin(ModelConfig(pretrained=str(folder)))


def open_all(phase: PhaseConfig, parts: Components) -> FolderLatents:
    return open_folder(split_folder(phase.data).train, phase, parts, CPU)


def shapes_of(source: FolderLatents) -> set[tuple[int, int]]:
    return {source.shape_at(Place(0, 0, step, 0)) for step in range(200)}


def test_size_is_that_of_the_checkpoint_unless_one_is_given(tmp_path: Path, parts: Components) -> None:
    assert cut_spec(data_of(tmp_path), parts).shapes[0] == (32, 32)
    assert cut_spec(DataConfig(kind="folder", folder=tmp_path, size=64), parts).shapes[0] == (64, 64)
    assert cut_spec(data_of(tmp_path, shapes="square"), parts).shapes == ((32, 32),)
    with pytest.raises(InvalidField, match="36"):
        cut_spec(DataConfig(kind="folder", folder=tmp_path, size=36), parts)


def test_a_micro_batch_has_the_shape_of_its_bucket(tmp_path: Path, parts: Components) -> None:
    source = open_all(phase_of(write_photographs(tmp_path, 4), held_out=0.0), parts)
    assert isinstance(source, ShapedSource)
    assert len(shapes_of(source)) == 3  # squares, wide and high ones
    assert len(source) == 4 * 2 * 2
    for height, width in shapes_of(source):
        pick = torch.rand(8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        batch = source.batch(pick, torch.zeros(8, 2, 4, height, width))
        assert batch.latents.shape == batch.masked_image_latents.shape == (8, 4, height, width)
        assert batch.mask.shape == (8, 1, 4 * height, 4 * width)
        assert batch.tokens.dtype == torch.int64


def test_masks_of_ones_own_are_used_and_full_ones_come_at_their_rate(tmp_path: Path, parts: Components) -> None:
    photograph(0).save(tmp_path / "a.png")
    (tmp_path / "a.txt").write_text("a hat")
    mask = Image.new("L", (80, 80), 0)
    mask.paste(255, (0, 0, 80, 40))
    mask.save(tmp_path / "a.mask.png")
    source = open_all(phase_of(tmp_path, full_mask_rate=0.25, crops=1), parts)
    pick = (torch.arange(400, dtype=torch.float64) + 0.5) / 400
    batch = source.batch(pick, torch.zeros(400, 2, 4, 8, 8))
    is_full = batch.mask.mean(dim=(1, 2, 3)) == 1.0
    assert int(is_full.sum()) == 100
    assert torch.equal(batch.mask[~is_full][0, 0, :16], torch.ones(16, 32))
    assert not batch.mask[~is_full][0, 0, 16:].any()
    hidden = batch.masked_image_latents[is_full]
    assert torch.equal(hidden, hidden[:1].expand_as(hidden))
    assert not torch.equal(hidden[0], batch.masked_image_latents[~is_full][0])


def claiming(width: int, height: int) -> bytes:
    """The beginning of a PNG file of so many pixels."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))


def test_broken_pictures_are_left_out_and_named(
    tmp_path: Path, parts: Components, caplog: pytest.LogCaptureFixture
) -> None:
    folder = write_photographs(tmp_path, 3)
    (folder / "01.jpg").write_bytes((folder / "01.jpg").read_bytes()[:200])
    (folder / "bomb.png").write_bytes(claiming(100_000, 100_000))
    (folder / "bomb.txt").write_text("a bomb")
    with caplog.at_level(logging.WARNING):
        source = open_all(phase_of(folder, held_out=0.0), parts)
    assert len(source) == 2 * 2 * 2
    assert "2 of 4" in caplog.text
    assert "01.jpg" in caplog.text
    assert "bomb.png" in caplog.text
    for name in ("00.jpg", "02.jpg"):
        (folder / name).write_bytes(b"")
    with pytest.raises(BadInput, match="no picture"):
        open_all(phase_of(folder, held_out=0.0), parts)


def test_an_empty_mask_is_an_error(tmp_path: Path, parts: Components) -> None:
    folder = write_photographs(tmp_path, 1)
    Image.new("L", (80, 80), 0).save(folder / "00.mask.png")
    with pytest.raises(MaskEmpty, match=r"00\.jpg"):
        open_all(phase_of(folder), parts)


def test_pictures_of_the_grid_are_whole(tmp_path: Path, parts: Components) -> None:
    folder = write_photographs(tmp_path, 4)
    data = data_of(folder, held_out=["00.jpg", "01.jpg"])
    (folder / "01.jpg").write_bytes(b"nonsense")
    ((cuts, caption),) = first_cuts(split_folder(data).held_out, data, parts)
    assert cuts.images.shape == (1, 32, 32, 3)
    assert caption == "a red hat"
