"""Folders of pictures with masks by stem."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import fsspec
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


def _fingerprint(folder: Path, masks: Path | None = None) -> Mapping[str, Any]:
    place = None if masks is None else Place.of(str(masks))
    return PictureFolder(Place.of(str(folder)), place).fingerprint()


@pytest.mark.parametrize("name", ["in/a.png", "in/a.txt", "masks/a.png"])
def test_other_pictures_prompts_or_masks_under_the_same_names_are_another_input(tmp_path: Path, name: str) -> None:
    _lay(tmp_path / "in", "a.png")
    _lay(tmp_path / "masks", "a.png")
    (tmp_path / "in" / "a.txt").write_text("a red apple")
    before = _fingerprint(tmp_path / "in", tmp_path / "masks")
    file = tmp_path / name
    file.write_bytes(file.read_bytes()[::-1])
    assert _fingerprint(tmp_path / "in", tmp_path / "masks") != before


def test_a_copy_of_a_folder_is_the_same_input_whatever_else_lies_in_it(tmp_path: Path) -> None:
    _lay(tmp_path / "in", "a.png")
    (tmp_path / "in" / "notes.md").write_text("nothing to paint")
    shutil.copytree(tmp_path / "in", tmp_path / "copy", copy_function=shutil.copyfile)
    os.utime(tmp_path / "copy" / "a.png", (1, 1))
    (tmp_path / "copy" / "notes.md").write_text("as before")
    assert _fingerprint(tmp_path / "copy") == _fingerprint(tmp_path / "in")


def test_a_store_is_asked_for_no_more_than_a_list(monkeypatch: pytest.MonkeyPatch) -> None:
    store = fsspec.filesystem("memory")
    store.pipe("/pictures/a.png", b"one")
    place = Place.of("memory://pictures")
    before = PictureFolder(place).fingerprint()
    store.pipe("/pictures/a.png", b"two")

    def refuse(*_: object) -> bytes:
        raise AssertionError("it was read")

    monkeypatch.setattr(type(store), "read_block", refuse)
    monkeypatch.setattr(type(store), "open", refuse)
    assert PictureFolder(place).fingerprint() != before


def test_a_picture_that_cannot_be_read_is_its_rows_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _lay(tmp_path / "in", "a.png")

    def fail(*_: object) -> bytes:
        raise OSError("the disk fails")

    monkeypatch.setattr(type(fsspec.filesystem("file")), "read_block", fail)
    assert _fingerprint(tmp_path / "in")["content"] == {"a.png": ""}
