"""Examples of one picture."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.train.photographs import photograph

from retouch.data.folder import FolderItem
from retouch.errors import ImageError, MaskEmpty, MaskSizeError
from retouch.train.crops import shapes
from retouch.train.photographs import CutSpec, Photograph, cut_photograph, read_photograph

SPEC = CutSpec(tuple(shapes(32, 8)), crops=5, masks=3)


def read(folder: Path, picture: Image.Image, mask: Image.Image | None = None) -> Photograph:
    picture.save(folder / "a.png")
    if mask is not None:
        mask.save(folder / "a.mask.png")
    return read_photograph(FolderItem(folder / "a.png", "a hat", folder / "a.mask.png" if mask else None))


def test_same_files_give_the_same_examples(tmp_path: Path) -> None:
    one, two = (cut_photograph(read(tmp_path, photograph(1, (120, 80))), SPEC) for _ in range(2))
    assert one.images.shape[0] == 5
    assert one.masks.shape[:2] == (5, 3)
    assert one.images.shape[1:3] == one.masks.shape[2:]
    assert np.array_equal(one.images, two.images)
    assert np.array_equal(one.masks, two.masks)
    assert one.masks.any(axis=(2, 3)).all()


def test_the_first_crop_is_the_whole_picture_and_fewer_crops_begin_alike(tmp_path: Path) -> None:
    found = read(tmp_path, photograph(1, (80, 80)))
    many, one = cut_photograph(found, SPEC), cut_photograph(found, CutSpec(SPEC.shapes, 1, 1))
    assert np.array_equal(many.images[0], one.images[0])
    assert np.array_equal(many.masks[0, 0], one.masks[0, 0])
    whole = np.asarray(photograph(1).resize((32, 32), Image.Resampling.LANCZOS))
    assert np.array_equal(one.images[0], whole)


def test_a_mask_of_ones_own_is_seen_in_every_crop(tmp_path: Path) -> None:
    mask = Image.new("L", (120, 80), 0)
    mask.paste(255, (100, 4, 112, 16))  # in a corner
    cuts = cut_photograph(read(tmp_path, photograph(2, (120, 80)), mask), SPEC)
    assert cuts.masks.shape[1] == 1
    assert cuts.masks.any(axis=(2, 3)).all()
    assert cuts.masks[0].mean() < 0.1


def test_crops_that_cannot_show_the_mask_are_left_out(tmp_path: Path) -> None:
    spec = CutSpec(((8, 16),), crops=30, masks=1)
    for width, some in ((8, True), (1, False)):
        mask = Image.new("L", (400, 20), 0)
        mask.paste(255, (0, 0, width, 20))
        found = read(tmp_path, photograph(2, (400, 20)), mask)
        if some:
            cuts = cut_photograph(found, spec)
            assert 0 < len(cuts.images) < 30
            assert len(cuts.images) == len(cuts.masks)
            assert cuts.masks.any(axis=(2, 3)).all()
        else:
            with pytest.raises(MaskEmpty, match="crop"):
                cut_photograph(found, CutSpec(((8, 16),), crops=1, masks=1))


def test_orientation_of_a_phone_turns_picture_and_mask_alike(tmp_path: Path) -> None:
    picture, mask = photograph(3, (120, 80)), Image.new("L", (120, 80), 0)
    mask.paste(255, (0, 0, 60, 40))
    exif = Image.Exif()
    exif[0x0112] = 6
    picture.save(tmp_path / "a.jpg", exif=exif, quality=95)
    mask.transpose(Image.Transpose.ROTATE_270).save(tmp_path / "a.mask.png")
    found = read_photograph(FolderItem(tmp_path / "a.jpg", "", tmp_path / "a.mask.png"))
    cuts = cut_photograph(found, SPEC)
    assert cuts.images.shape[1] > cuts.images.shape[2]  # upright


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "CMYK", "1"])
def test_every_mode_of_a_picture_becomes_colours(tmp_path: Path, mode: str) -> None:
    ending = "jpg" if mode == "CMYK" else "png"
    photograph(4).convert(mode).save(tmp_path / f"a.{ending}")
    found = read_photograph(FolderItem(tmp_path / f"a.{ending}", ""))
    assert cut_photograph(found, SPEC).images.shape[-1] == 3


def test_a_mask_of_another_size_or_an_empty_one_is_an_error_that_names_the_picture(tmp_path: Path) -> None:
    with pytest.raises(MaskSizeError, match=r"a\.png"):
        cut_photograph(read(tmp_path, photograph(1), Image.new("L", (20, 20), 255)), SPEC)
    with pytest.raises(MaskEmpty, match=r"a\.png"):
        cut_photograph(read(tmp_path, photograph(1), Image.new("L", (80, 80), 0)), SPEC)


def test_what_is_no_picture_is_an_image_error(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"nonsense")
    with pytest.raises(ImageError):
        cut_photograph(read_photograph(FolderItem(tmp_path / "a.jpg", "")), SPEC)
    (tmp_path / "b.mask.png").write_bytes(b"nonsense")
    photograph(1).save(tmp_path / "b.png")
    with pytest.raises(ImageError, match="mask"):
        cut_photograph(read_photograph(FolderItem(tmp_path / "b.png", "", tmp_path / "b.mask.png")), SPEC)
