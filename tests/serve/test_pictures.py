"""A picture's text becomes bytes within a limit; it never becomes a path or a connection."""

import base64
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.memory import grows_less_than, needs_proc

from retouch.errors import ImageFormatError, ImageTooLarge, InvalidField, RetouchError
from retouch.imaging.limits import DecodeLimits
from retouch.serve.pictures import is_url, picture_bytes, picture_text

LIMITS = DecodeLimits(image_bytes=1_000)
DATA = bytes(range(256)) + b"\xfb\xff\xfe"
PLAIN = base64.b64encode(DATA).decode()


def _read(text: str, limits: DecodeLimits = LIMITS) -> bytes:
    return picture_bytes(text, field="image", limits=limits)


@pytest.mark.parametrize(
    "text",
    [
        PLAIN,
        base64.encodebytes(DATA).decode(),
        base64.encodebytes(DATA).decode().replace("\n", "\r\n"),
        f"  \n{PLAIN}\n ",
        PLAIN.rstrip("="),
        base64.urlsafe_b64encode(DATA).decode(),
        base64.urlsafe_b64encode(DATA).decode().rstrip("="),
        f"data:image/png;base64,{PLAIN}",
        f"DATA:image/jpeg;charset=utf-8;BASE64,{PLAIN}",
        f"data:image/*;base64,{base64.encodebytes(DATA).decode()}",
        f"data:application/octet-stream;base64,{PLAIN}",
        f"data:;base64,{PLAIN}",
        f"\ndata:image/webp;base64,\n{PLAIN}",
    ],
)
def test_base64_is_read_in_the_spellings_of_clients(text: str) -> None:
    assert _read(text) == DATA


@given(st.binary(min_size=1, max_size=900))
def test_what_is_written_is_read(data: bytes) -> None:
    assert _read(picture_text(data)) == data


@pytest.mark.parametrize(
    "text",
    [
        "",
        "=",
        "====",
        "A",
        "AAAAA",
        "AAA=====",
        "A===",
        "AA=A",
        "AAAA-+/_",
        "a b!",
        "\x00AAA",
        "AAAA\x00",
        "ÄÄÄÄ",
        "�",
        "%41%41",
        "../../etc/passwd",
        "C:\\Users\\a.png",
        "~/a.png",
        "./a.png",
        "data:",
        "data:image/png",
        "data:image/png;base64",
        "data:image/png,AAAA",
        "data:image/png;base64,",
        "data:" + "x" * 200 + ";base64,AAAA",
        "data:image/png;base64,data:image/png;base64,AAAA",
    ],
)
def test_what_is_no_base64_is_refused_without_being_quoted(text: str) -> None:
    with pytest.raises(InvalidField) as refused:
        _read(text)
    assert refused.value.field == "image"
    assert len(str(refused.value)) < 80


@pytest.mark.parametrize(
    "kind", ["image/svg+xml", "IMAGE/SVG", "text/html", "application/pdf", "text/plain;x=image/png", "*/*"]
)
def test_a_data_url_of_another_type_is_refused(kind: str) -> None:
    with pytest.raises(ImageFormatError):
        _read(f"data:{kind};base64,{PLAIN}")


@pytest.mark.parametrize(
    "text",
    [
        "https://a.example/a.png",
        "HTTP://a.example",
        " http://127.0.0.1/",
        "file:///etc/passwd",
        "ftp://a",
        "gopher://a",
        "s3://b/c",
    ],
)
def test_an_address_is_told_apart_and_not_fetched(text: str) -> None:
    assert is_url(text)
    with pytest.raises(InvalidField, match="address"):
        _read(text)


@pytest.mark.parametrize(
    "text", [PLAIN, "data:image/png;base64,AAAA", "//a.example", "a://" + "b" * 9, "x" * 40 + "://a"]
)
def test_a_picture_is_not_taken_for_an_address(text: str) -> None:
    assert is_url(text) == text.startswith("a://")


def test_a_path_that_spells_base64_is_bytes_and_no_file(tmp_path: Path) -> None:
    path = tmp_path / "abcd"
    path.write_bytes(b"secret")
    assert _read("/etc/passwd" + "A") == base64.b64decode("/etc/passwdA")
    assert _read(str(path).replace("-", "").replace("_", "")) != b"secret"


def test_the_limit_is_of_the_decoded_bytes() -> None:
    assert len(_read(base64.encodebytes(b"x" * 1_000).decode())) == 1_000
    for size in (1_001, 1_002, 1_003, 5_000):
        with pytest.raises(ImageTooLarge):
            _read(base64.b64encode(b"x" * size).decode())


HOSTILE: dict[str, Callable[[], str]] = {
    "letters": lambda: "A" * 2**26,
    "spaces": lambda: " " * 2**26,
    "a picture between spaces": lambda: ("A" + " " * 7) * 2**23,
    "line breaks": lambda: "\n" * 2**26,
    "padding": lambda: "=" * 2**26,
    "wide characters": lambda: "\U0001f600" * 2**24,
    "a prefix": lambda: "data:" + ";" * 2**26,
}


@needs_proc
@pytest.mark.parametrize("name", HOSTILE)
def test_a_text_far_over_the_limit_is_refused_before_it_is_copied(name: str) -> None:
    text = HOSTILE[name]()
    began = time.process_time()
    with grows_less_than(8), pytest.raises(RetouchError):
        _read(text, DecodeLimits(image_bytes=2**20))
    assert time.process_time() - began < 0.5


@needs_proc
def test_a_picture_at_the_default_limit_of_the_server_takes_a_few_copies() -> None:
    text = base64.encodebytes(b"x" * 16 * 2**20).decode()
    with grows_less_than(80):
        assert len(_read(text, DecodeLimits(image_bytes=16 * 2**20))) == 16 * 2**20
