from pathlib import Path

import pytest
from tests.qt_archives import rcc_bytes

from retouch.data.qt_resources import QtResources
from retouch.errors import BadInput

FILES = {"app/a/one.webp": b"first" * 50, "app/a/two.webp": b"second", "app/b/é.txt": b""}


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("compress", [True, False])
def test_every_file_of_the_tree_is_read(tmp_path: Path, compress: bool):
    resources = QtResources(write(tmp_path / "a.rcc", rcc_bytes(FILES, compress=compress)))
    assert {name: resources.read(name) for name in FILES} == FILES


def test_a_missing_file_is_bad_input(tmp_path: Path):
    resources = QtResources(write(tmp_path / "a.rcc", rcc_bytes(FILES)))
    with pytest.raises(BadInput, match=r"a\.rcc has no app/c"):
        resources.read("app/c")


@pytest.mark.parametrize("data", [b"", b"junk and more junk", b"qres", rcc_bytes(FILES)[:-20]])
def test_a_damaged_file_is_bad_input(tmp_path: Path, data: bytes):
    with pytest.raises(BadInput):
        QtResources(write(tmp_path / "a.rcc", data))


def test_a_tree_that_holds_itself_is_bad_input(tmp_path: Path):
    data = bytearray(rcc_bytes({"a/b": b"x"}))
    tree = int.from_bytes(data[8:12], "big")
    # The folder "a" says that its first child is the root.
    data[tree + 14 + 10 : tree + 14 + 14] = (0).to_bytes(4, "big")
    with pytest.raises(BadInput, match="damaged"):
        QtResources(write(tmp_path / "a.rcc", bytes(data)))


def test_broken_compression_is_bad_input(tmp_path: Path):
    data = rcc_bytes({"a": b"hello" * 9})
    at = data.index(b"\x78\x9c")
    broken = data[:at] + b"\x00\x00" + data[at + 2 :]
    with pytest.raises(BadInput, match="cannot be read"):
        QtResources(write(tmp_path / "a.rcc", broken)).read("a")
