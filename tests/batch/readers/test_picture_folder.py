"""Folders of pictures with masks by stem."""

from pathlib import Path

import pytest
from tests.batch.builders import mask_png, picture_png

from retouch.batch.places import Place
from retouch.batch.readers.picture_folder import PictureFolder


def _lay(folder: Path, *names: str) -> None:
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / name).write_bytes(mask_png() if "mask" in name else picture_png())


def _cells(folder: Path, masks: Path | None = None) -> list[dict[str, object]]:
    place = None if masks is None else Place.of(str(masks))
    return [dict(raw.cells) for raw in PictureFolder(Place.of(str(folder)), place).rows()]


@pytest.mark.parametrize("mask", ["a.mask.png", "a_mask.png", "a-mask.webp"])
def test_a_mask_beside_the_picture_is_found_by_its_stem(tmp_path: Path, mask: str) -> None:
    _lay(tmp_path / "in", "a.jpg", mask, "b.png")
    assert _cells(tmp_path / "in") == [
        {"id": "a", "image": "a.jpg", "mask_image": mask},
        {"id": "b", "image": "b.png"},
    ]


def test_masks_in_a_folder_of_their_own_are_found_by_the_pictures_stems(tmp_path: Path) -> None:
    _lay(tmp_path / "in", "a.jpg", "b.png")
    _lay(tmp_path / "masks", "a.png", "b_mask.png", "c.png")
    assert [Path(str(row["mask_image"])).name for row in _cells(tmp_path / "in", tmp_path / "masks")] == [
        "a.png",
        "b_mask.png",
    ]


def test_a_text_beside_the_picture_is_its_prompt(tmp_path: Path) -> None:
    _lay(tmp_path / "in", "a.jpg", "b.jpg")
    (tmp_path / "in" / "a.txt").write_text("\ufeffa red apple\n")
    (tmp_path / "in" / "b.txt").write_bytes(b"\xff")
    raws = list(PictureFolder(Place.of(str(tmp_path / "in"))).rows())
    assert raws[0].cells["prompt"] == "a red apple"
    assert "UTF-8" in str(raws[1].error)


def test_a_picture_that_is_only_called_mask_is_a_picture(tmp_path: Path) -> None:
    _lay(tmp_path / "in", "opera-mask.png", "b.png")
    assert [row["image"] for row in _cells(tmp_path / "in")] == ["b.png", "opera-mask.png"]
