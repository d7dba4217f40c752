"""Tar streams are read as the standard library reads honest ones."""

import io
import tarfile

import pytest
from tests.data.hostile_tars import END, header, member, pax

from retouch.data.tar import BrokenTar, TarStream


def _read(data: bytes) -> list[tuple[str, bytes | None]]:
    stream = TarStream(io.BytesIO(data))
    return [(one.name, stream.content(one) if one.is_file else None) for one in stream]


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2"])
def test_names_and_contents_are_those_of_the_standard_library(form: int, mode: str) -> None:
    buffer = io.BytesIO()
    files = {"a.txt": b"1", "b/ä.txt": bytes(513), "c" * 90: b"", f"{'d' * 80}/{'e' * 90}": bytes(512)}
    files |= {} if form == tarfile.USTAR_FORMAT else {"f" * 400: b"long"}
    with tarfile.open(fileobj=buffer, mode=mode, format=form) as tar:
        folder = tarfile.TarInfo("b")
        folder.type = tarfile.DIRTYPE
        tar.addfile(folder)
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, "l" * 200 if form != tarfile.USTAR_FORMAT else "l"
        tar.addfile(link)
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    assert dict(_read(buffer.getvalue())) == {"b/": None, "link": None, **files}


def test_a_member_that_is_not_read_is_passed_over() -> None:
    stream = TarStream(io.BytesIO(member("a", bytes(3_000_000)) + member("b", b"x") + END))
    assert [one.name for one in stream] == ["a", "b"]


def test_a_size_in_the_binary_form_is_read() -> None:
    data = header("a", b"\x80" + (5).to_bytes(11, "big")) + b"hello".ljust(512, b"\0") + END
    assert _read(data) == [("a", b"hello")]


def test_an_extended_header_names_the_member_behind_it_alone() -> None:
    data = pax(path="renamed", size="5") + member("a", b"hello") + member("b", b"x") + END
    assert _read(data) == [("renamed", b"hello"), ("b", b"x")]


@pytest.mark.parametrize("cut", [1, 511, 512 + 1, 512 + 512 + 1, 1024])
def test_a_stream_that_ends_early_says_so(cut: int) -> None:
    data = member("a", b"x") + member("b", b"x")
    with pytest.raises(BrokenTar, match="cut short"):
        _read(data[:cut])


def test_a_wrong_checksum_is_noticed() -> None:
    data = bytearray(member("a", b"x") + END)
    data[0] ^= 1
    with pytest.raises(BrokenTar, match="damaged header"):
        _read(bytes(data))


def test_a_library_that_fails_while_reading_ends_the_shard_alone() -> None:
    class Remote:
        def read(self, size: int) -> bytes:
            raise RuntimeError("the bucket is gone")

    with pytest.raises(BrokenTar, match="cannot be read"):
        TarStream(Remote())


class CountedFile(io.BytesIO):
    """A file that counts what is read of it."""

    taken = 0

    def read(self, size: int | None = -1) -> bytes:
        found = super().read(size)
        self.taken += len(found)
        return found


def test_what_is_passed_over_is_not_read_and_offsets_lead_to_contents() -> None:
    file = CountedFile(member("a", bytes(3_000_000)) + pax(path="b") + member("x", b"hello") + END)
    found = [(one.name, one.offset, one.size) for one in TarStream(file)]
    assert file.taken < 5_000
    assert [name for name, _, _ in found] == ["a", "b"]
    offset, size = found[1][1:]
    assert file.getvalue()[offset : offset + size] == b"hello"


def test_a_member_that_ends_behind_the_file_is_noticed_when_passed_over() -> None:
    with pytest.raises(BrokenTar, match="cut short"):
        list(TarStream(io.BytesIO(header("a", b"%011o\0" % 5_000_000) + b"x" * 512)))
