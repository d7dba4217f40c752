"""Files appear whole or not at all."""

import os
from pathlib import Path

import numpy as np
import pytest

from retouch.errors import ImageFormatError
from retouch.imaging.decode import decode_picture
from retouch.imaging.metadata import ResultMetadata, read_metadata
from retouch.imaging.picture import Picture
from retouch.imaging.save import format_of_path, save_picture, write_atomically

PICTURE = Picture(np.random.default_rng(0).integers(0, 65536, (9, 7, 3), dtype=np.uint16))


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.png", "PNG"),
        ("a.JPG", "JPEG"),
        ("a.jpeg", "JPEG"),
        ("a.webp", "WEBP"),
        ("a.avif", "AVIF"),
        ("a.tif", "TIFF"),
    ],
)
def test_the_suffix_chooses_the_format(tmp_path: Path, name: str, kind: str) -> None:
    assert format_of_path(name) == kind
    save_picture(PICTURE, tmp_path / name)
    assert decode_picture(tmp_path / name).source_format == kind


@pytest.mark.parametrize("name", ["a", "a.gif", "a.png.txt"])
def test_another_suffix_is_an_error_with_the_list(tmp_path: Path, name: str) -> None:
    with pytest.raises(ImageFormatError) as caught:
        save_picture(PICTURE, tmp_path / name)
    assert ".png" in caught.value.hint
    assert list(tmp_path.iterdir()) == []


def test_sixteen_bits_survive_from_file_to_file(tmp_path: Path) -> None:
    for name in ("a.png", "a.tiff"):
        assert save_picture(PICTURE, tmp_path / name, metadata=ResultMetadata("p")) == ()
        assert np.array_equal(decode_picture(tmp_path / name).pixels, PICTURE.pixels)
        found = read_metadata((tmp_path / name).read_bytes())
        assert found is not None
        assert found.parameters == "p"


def test_losses_are_told(tmp_path: Path) -> None:
    assert len(save_picture(PICTURE, tmp_path / "a.jpg", quality=80)) == 2


def test_a_failed_write_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"old")

    def no_space(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(OSError, match="space"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_new_file_replaces_the_old_one_with_ordinary_rights(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    write_atomically(path, b"new")
    assert path.read_bytes() == b"new"
    plain = tmp_path / "plain"
    plain.write_bytes(b"")
    assert path.stat().st_mode == plain.stat().st_mode


def test_a_missing_folder_is_an_error_of_the_system(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_atomically(tmp_path / "missing" / "a.png", b"")


def test_a_link_is_replaced_and_not_followed(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_bytes(b"kept")
    (tmp_path / "link").symlink_to(target)
    write_atomically(tmp_path / "link", b"new")
    assert target.read_bytes() == b"kept"
    assert (tmp_path / "link").read_bytes() == b"new"


def test_long_names_can_be_written(tmp_path: Path) -> None:
    path = tmp_path / ("x" * 250 + ".png")
    write_atomically(path, b"new")
    assert path.read_bytes() == b"new"
