"""What cells may name: nothing outside the roots."""

import base64
import os
import pickle
import re
from pathlib import Path

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from tests.batch.builders import base64_of, picture_png

from retouch.batch.pictures import Roots, carry, fetch
from retouch.batch.places import Place
from retouch.batch.rows import Fetched, Row
from retouch.errors import BadInput, BadRow, ImageError, RetouchError, SourceUnavailable
from retouch.imaging.limits import DecodeLimits

LIMITS = DecodeLimits(image_bytes=20_000)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    (folder / "sub").mkdir(parents=True)
    (folder / "a.png").write_bytes(picture_png())
    (folder / "sub" / "b.png").write_bytes(picture_png(1))
    (tmp_path / "secret.png").write_bytes(picture_png(2))
    (folder / "link.png").symlink_to(tmp_path / "secret.png")
    (folder / "out").symlink_to(tmp_path)
    (folder / "inner.png").symlink_to(folder / "a.png")
    os.mkfifo(folder / "pipe.png")
    return folder


def _roots(*addresses: object, any_path: bool = False) -> Roots:
    return Roots(tuple(Place.of(str(one)) for one in addresses), any_path=any_path)


@pytest.mark.parametrize("name", ["a.png", "sub/b.png", "./a.png", "inner.png"])
def test_a_path_below_the_root_is_read(root: Path, name: str) -> None:
    assert fetch(name, _roots(root), LIMITS).data == (root / name).read_bytes()


@pytest.mark.parametrize(
    "name",
    [
        "../secret.png",
        "sub/../../secret.png",
        "sub/../a.png",
        "/etc/hosts.png",
        "link.png",
        "out/secret.png",
        "..\\secret.png",
        "file:///etc/hosts.png",
        "local:///etc/hosts.png",
        "zip://a.png::file:///x.zip",
        "http://127.0.0.1/a.png",
        "memory://elsewhere/a.png",
        "a\0.png",
        "~/a.png",
        "a.png/" * 1000,
    ],
)
def test_a_path_out_of_the_root_is_a_bad_row(root: Path, name: str) -> None:
    with pytest.raises((BadRow, ImageError)):
        fetch(name, _roots(root), LIMITS)


@pytest.mark.parametrize("name", ["pipe.png", "sub", "sub.d", "missing.png"])
def test_what_is_no_file_is_an_error_and_nobody_waits_for_it(root: Path, name: str) -> None:
    with pytest.raises(RetouchError):
        fetch(name, _roots(root), LIMITS)


def test_any_path_may_be_allowed(root: Path, tmp_path: Path) -> None:
    roots = _roots(root, any_path=True)
    for name in (str(tmp_path / "secret.png"), "../secret.png", "link.png", f"file://{tmp_path}/secret.png"):
        assert fetch(name, roots, LIMITS).data == picture_png(2)


def test_a_name_with_colons_is_a_name(root: Path) -> None:
    (root / "a::b.png").write_bytes(picture_png(3))
    assert fetch("a::b.png", _roots(root), LIMITS).data == picture_png(3)


def test_a_second_root_is_where_links_may_lead(root: Path, tmp_path: Path) -> None:
    assert fetch("link.png", _roots(root, tmp_path), LIMITS).data == picture_png(2)


def test_an_address_below_a_root_that_is_one_is_read(root: Path) -> None:
    with fsspec.open("memory://shop/cats/a.png", "wb") as file:
        file.write(picture_png())
    roots = _roots(root, "memory://shop/cats")
    assert fetch("memory://shop/cats/a.png", roots, LIMITS).data == picture_png()
    for name in ("memory://shop/catsanddogs/a.png", "memory://shop/cats/../dogs/a.png"):
        with pytest.raises(BadRow, match="outside the roots"):
            fetch(name, roots, LIMITS)
    with pytest.raises(ImageError, match="no picture"):
        fetch("memory://shop/cats/b.png", roots, LIMITS)


def test_relative_paths_are_told_from_a_root_that_is_an_address() -> None:
    with fsspec.open("memory://shop/cats/a.png", "wb") as file:
        file.write(picture_png())
    assert fetch("cats/a.png", _roots("memory://shop"), LIMITS).data == picture_png()
    with pytest.raises(BadRow, match="leads out"):
        fetch("../a.png", _roots("memory://shop/cats"), LIMITS)


def test_a_storage_that_fails_is_told_as_one_that_may_work_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: object, **options: object) -> object:
        raise TimeoutError("no answer")

    monkeypatch.setattr(MemoryFileSystem, "_open", broken)
    with pytest.raises(SourceUnavailable):
        fetch("memory://shop/a.png", _roots("memory://shop"), LIMITS)


@pytest.mark.parametrize(
    "text",
    [
        base64_of(picture_png()),
        base64.b64encode(picture_png()).decode(),
        "data:image/png;base64," + base64.b64encode(picture_png()).decode(),
    ],
)
def test_base64_is_read_with_and_without_ends_of_lines(root: Path, text: str) -> None:
    fetched = fetch(text, _roots(root), LIMITS)
    assert fetched.data == picture_png()
    assert fetched.name.startswith("sha256:")


@pytest.mark.parametrize("text", ["!!!", "abc", "é", "A" * 100_000, "data:text/html;base64,AAAA", "x-_-"])
def test_what_is_neither_base64_nor_a_name_is_an_error(root: Path, text: str) -> None:
    with pytest.raises(RetouchError):
        fetch(text, _roots(root), LIMITS)


def test_bytes_beyond_the_limit_are_refused(root: Path) -> None:
    with pytest.raises(ImageError, match="too large"):
        fetch(bytes(20_001), _roots(root), LIMITS)


def test_a_row_that_goes_elsewhere_carries_what_it_names_here(root: Path) -> None:
    """Whoever paints it needs no file of this machine, and finds the same pictures, names and errors."""
    cells = {"image": "a.png", "mask": base64_of(picture_png(1)), "prompt": "a.png", "seed": 1}
    row = Row(0, "in.csv", 0, cells)
    sent = pickle.loads(pickle.dumps(carry(row, _roots(root), LIMITS)))
    assert sent.cells == {**cells, "image": Fetched((root / "a.png").read_bytes(), "a.png")}
    assert sent.size_bytes >= (root / "a.png").stat().st_size
    assert fetch(sent.cells["image"], _roots("memory://nothing"), LIMITS) == fetch("a.png", _roots(root), LIMITS)


@pytest.mark.parametrize("name", ["../secret.png", "link.png", "missing.png", "pipe.png"])
def test_a_row_that_goes_elsewhere_takes_along_why_a_picture_cannot_be_read(root: Path, name: str) -> None:
    sent = pickle.loads(pickle.dumps(carry(Row(0, "in.csv", 0, {"image": name}), _roots(root), LIMITS)))
    with pytest.raises(BadInput) as here:
        fetch(name, _roots(root), LIMITS)
    with pytest.raises(type(here.value), match=re.escape(str(here.value))):
        fetch(sent.cells["image"], _roots(root), LIMITS)


def test_what_lies_at_an_address_is_left_to_who_paints(root: Path) -> None:
    row = Row(0, "in.csv", 0, {"image": "memory://bucket/a.png"})
    assert carry(row, _roots("memory://bucket"), LIMITS) == row
    relative = Row(0, "in.csv", 0, {"image": "a.png"})
    assert carry(relative, _roots("memory://bucket", root), LIMITS) == relative
