"""Which pictures of a folder are trained on."""

from pathlib import Path

import pytest
from PIL import Image
from tests.train.photographs import data_of, phase_of, write_photographs

from retouch.errors import BadInput, InvalidField
from retouch.train.split import FEW, caption_words, split_folder


def test_a_share_is_held_out_always_the_same_and_at_least_one(tmp_path: Path) -> None:
    folder = write_photographs(tmp_path, 10)
    split = split_folder(data_of(folder, held_out=0.3))
    assert (len(split.train), len(split.held_out)) == (7, 3)
    assert split == split_folder(data_of(folder, held_out=0.3))
    assert len(split_folder(data_of(folder, held_out=0.01)).held_out) == 1
    assert split_folder(data_of(folder, held_out=0.0)).held_out == []


def test_of_very_few_pictures_none_is_held_out(tmp_path: Path) -> None:
    folder = write_photographs(tmp_path, FEW - 1)
    assert split_folder(data_of(folder, held_out=0.5)).held_out == []


def test_a_list_holds_out_what_it_names(tmp_path: Path) -> None:
    write_photographs(tmp_path / "sub", 2)
    folder = write_photographs(tmp_path, 3)
    split = split_folder(data_of(folder, held_out=["02.jpg", "sub/00.jpg"]))
    assert {item.image.relative_to(folder).as_posix() for item in split.held_out} == {"02.jpg", "sub/00.jpg"}
    with pytest.raises(InvalidField, match=r"nowhere\.jpg"):
        split_folder(data_of(folder, held_out=["nowhere.jpg"]))
    with pytest.raises(InvalidField, match="train on"):
        split_folder(data_of(folder, held_out=["00.jpg", "01.jpg", "02.jpg"]))


def test_masks_and_folders_of_pictures_are_told_apart_and_a_moved_folder_is_not(tmp_path: Path) -> None:
    folder = write_photographs(tmp_path / "photographs", 2)
    mask, moved = folder / "00.mask.png", folder / "sub"
    found = [split_folder(data_of(folder)).mask_digest]
    for size in (8, 80):
        Image.new("L", (size, size), 255).save(mask)
        found.append(split_folder(data_of(folder)).mask_digest)
    moved.mkdir()
    for name in ("01.jpg", "01.txt"):
        (folder / name).rename(moved / name)
    found.append(split_folder(data_of(folder)).mask_digest)
    assert len(set(found)) == 4
    elsewhere = folder.rename(tmp_path / "elsewhere")
    assert split_folder(data_of(elsewhere)).mask_digest == found[-1]


def test_pictures_without_captions_take_the_default_or_are_named(tmp_path: Path) -> None:
    folder = write_photographs(tmp_path, 2, caption=None)
    with pytest.raises(BadInput, match=r"00\.jpg"):
        split_folder(data_of(folder))
    assert {item.caption for item in split_folder(data_of(folder, caption="a hat")).train} == {"a hat"}


def test_the_words_of_the_captions_are_known_to_what_is_exported(tmp_path: Path) -> None:
    phase = phase_of(write_photographs(tmp_path, 2, caption="My Zebra, again"))
    assert caption_words([phase]) == {"my", "zebra", "again"}
