"""Bytes come from paths, files and memory, never more than the limit."""

import io
import os
from pathlib import Path

import pytest

from retouch.errors import ImageError, ImageTooLarge
from retouch.imaging.decode import decode_picture
from retouch.imaging.sources import local, read_bytes


def test_every_source_gives_its_bytes(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"12345")
    for source in (b"12345", bytearray(b"12345"), memoryview(b"12345"), path, io.BytesIO(b"12345")):
        assert read_bytes(source, 5) == b"12345"


def test_one_byte_over_the_limit_is_too_large(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"12345")
    for source in (b"12345", path, io.BytesIO(b"12345")):
        with pytest.raises(ImageTooLarge):
            read_bytes(source, 4)


def test_an_endless_file_is_not_read_to_its_end() -> None:
    class Endless:
        def read(self, size: int) -> bytes:
            return bytes(size)

    with pytest.raises(ImageTooLarge):
        read_bytes(Endless(), 100)


@pytest.mark.parametrize("name", ["missing.png", "", "bad\0name", "x" * 5000])
def test_a_path_that_is_no_file_is_an_error(tmp_path: Path, name: str) -> None:
    with pytest.raises(ImageError) as caught:
        read_bytes(Path(f"{tmp_path}/{name}"), 9)
    assert str(tmp_path) not in str(caught.value)


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="needs a device file")
def test_a_device_is_no_picture_file() -> None:
    with pytest.raises(ImageError):
        read_bytes(Path("/dev/zero"), 9)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_named_pipe_is_refused_rather_than_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ImageError):
        read_bytes(tmp_path / "pipe", 9)


def test_what_a_path_is_instead_of_a_file_is_told(tmp_path: Path) -> None:
    def told(source: object) -> str:
        with pytest.raises(ImageError) as caught:
            read_bytes(source, 9)
        return f"{caught.value} ({caught.value.hint})"

    assert told(local(".")).startswith("'.' is a folder")
    assert told(tmp_path).startswith(f"{tmp_path.name!r} is a folder")
    assert told(local("https://example.org/cat.png")).startswith("addresses are not fetched")
    assert told(local("data:image/png;base64,AAAA")).startswith("addresses are not fetched")
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        assert "'pipe' is a pipe" in told(tmp_path / "pipe")


def test_text_files_and_other_things_are_refused() -> None:
    for source in (io.StringIO("text"), 7, None, object()):
        with pytest.raises(ImageError):
            read_bytes(source, 9)


def test_a_text_is_never_opened(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"12345")
    for door in (lambda text: read_bytes(text, 9), decode_picture):
        for text in (str(path), "/etc/passwd", "file:///etc/passwd", "aGVsbG8="):
            with pytest.raises(ImageError, match="text is not a picture") as caught:
                door(text)
            assert "Path" in caught.value.hint


def test_the_machines_own_user_names_a_file_by_a_text(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"12345")
    assert read_bytes(local(str(tmp_path / "a")), 5) == b"12345"
    assert local(b"12345") == b"12345"
    assert local(None) is None
