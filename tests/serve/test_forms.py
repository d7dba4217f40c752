"""Forms give names and bytes, and no more of them than was agreed."""

import time
from collections.abc import Callable
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.memory import grows_less_than, needs_proc

from retouch.errors import BodyTooLarge, InvalidField, MalformedBody, RetouchError, UnsupportedMedia
from retouch.serve.forms import Form, FormLimits, Part, parse_form

BOUNDARY = "----retouch1234"
MULTIPART = f"multipart/form-data; boundary={BOUNDARY}"
URLENCODED = "application/x-www-form-urlencoded"
SMALL = FormLimits(files=2, fields=3, file_bytes=100, field_bytes=50, header_bytes=80, headers=3)


def part(headers: str, data: bytes = b"x") -> bytes:
    return f"--{BOUNDARY}\r\n{headers}\r\n\r\n".encode("latin-1") + data + b"\r\n"


def text_part(name: str, data: bytes = b"x") -> bytes:
    return part(f'Content-Disposition: form-data; name="{name}"', data)


def file_part(name: str, data: bytes = b"x", filename: str = "a.png") -> bytes:
    return part(
        f'Content-Disposition: form-data; name="{name}"; filename="{filename}"\r\nContent-Type: image/png', data
    )


def whole(*parts: bytes) -> bytes:
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


def test_a_multipart_form_gives_fields_and_files_in_order() -> None:
    data = bytes(range(256)) + b"\r\n--" + BOUNDARY[:-1].encode() + b"\r\n"
    form = parse_form(MULTIPART, whole(text_part("prompt", "ein Apfel é".encode()), file_part("image[]", data)))
    assert form.parts == (Part("prompt", "ein Apfel é".encode()), Part("image[]", data, is_file=True))
    assert form.text("prompt") == "ein Apfel é"
    assert form.content("image[]") == data
    assert form.names == {"prompt", "image[]"}
    assert form.text("none") is None
    assert form.content("none") is None


def test_names_may_repeat_where_a_list_is_asked_for() -> None:
    form = parse_form(MULTIPART, whole(file_part("image[]", b"1"), file_part("image", b"2"), text_part("n")))
    assert [found.data for found in form.every("image", "image[]")] == [b"1", b"2"]


def test_a_single_field_that_is_there_twice_is_refused() -> None:
    form = parse_form(MULTIPART, whole(text_part("n", b"1"), text_part("n", b"2")))
    for read in (form.text, form.content):
        with pytest.raises(InvalidField) as refused:
            read("n")
        assert refused.value.field == "n"


def test_a_file_where_a_text_is_due_is_refused() -> None:
    with pytest.raises(InvalidField):
        parse_form(MULTIPART, whole(file_part("prompt"))).text("prompt")


def test_a_text_that_is_not_utf8_is_refused() -> None:
    with pytest.raises(InvalidField):
        parse_form(MULTIPART, whole(text_part("prompt", b"\xff"))).text("prompt")


@pytest.mark.parametrize(
    "filename", ["../../etc/passwd", "C:\\windows\\x", "", "a" * 700, "\xe4.png", '\\"', "..\\x"]
)
def test_names_of_files_are_nowhere(filename: str) -> None:
    form = parse_form(MULTIPART, whole(file_part("image", filename=filename)))
    assert form == Form((Part("image", b"x", is_file=True),))


def test_a_picture_without_a_file_name_is_a_file_too() -> None:
    data = b"p" * 70_000
    typed = part('Content-Disposition: form-data; name="image"\r\nContent-Type: image/png', data)
    star = part("Content-Disposition: form-data; name=\"image\"; filename*=utf-8''%C3%A4.png", data)
    assert parse_form(MULTIPART, whole(typed)).parts[0].is_file
    assert parse_form(MULTIPART, whole(star)).parts[0].is_file


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (whole(*[text_part("a")] * 4), BodyTooLarge),
        (whole(*[file_part("a", filename="")] * 3), BodyTooLarge),
        (whole(*[text_part("a")] * 5_000), BodyTooLarge),
        (whole(text_part("a", b"x" * 51)), BodyTooLarge),
        (whole(file_part("a", b"x" * 101)), BodyTooLarge),
        (whole(file_part("a", filename="a" * 100)), MalformedBody),
        (whole(part("X-Endless: " + "a" * 10_000)), MalformedBody),
        (whole(part("X" * 10_000 + ": a")), MalformedBody),
        (
            whole(
                part("\r\n".join(f"X-{i}: a" for i in range(4)) + '\r\nContent-Disposition: form-data; name="a"')
            ),
            MalformedBody,
        ),
        (whole(part("Content-Type: text/plain")), MalformedBody),
        (whole(text_part("")), MalformedBody),
        (whole(text_part("\xff")), MalformedBody),
        (
            whole(part('Content-Disposition: form-data; name="a"\r\nContent-Transfer-Encoding: base64')),
            MalformedBody,
        ),
        (text_part("a"), MalformedBody),
        (whole(text_part("a"))[:-4], MalformedBody),
        (b"", MalformedBody),
        (b"\r\n" * 100, MalformedBody),
        (b"hello", MalformedBody),
        (f"--{BOUNDARY}\r\n".encode(), MalformedBody),
        (f"--{BOUNDARY}\r\n: a\r\n\r\n".encode(), MalformedBody),
    ],
    ids=range(20),
)
def test_a_form_over_a_limit_or_broken_is_refused(body: bytes, error: type[RetouchError]) -> None:
    with pytest.raises(error):
        parse_form(MULTIPART, body, limits=SMALL)


def test_a_form_at_its_limits_is_taken() -> None:
    body = whole(*[text_part("a", b"x" * 50)] * 3, *[file_part("b", b"x" * 100)] * 2)
    assert len(parse_form(MULTIPART, body, limits=SMALL).parts) == 5


@pytest.mark.parametrize(
    "content_type",
    [
        "multipart/form-data",
        "multipart/form-data; boundary=",
        "multipart/form-data; boundary=" + "b" * 71,
        'multipart/form-data; boundary="a\\"b"',
        "multipart/form-data; boundary=a\tb",
        "multipart/form-data; charset=x",
    ],
)
def test_a_boundary_that_cannot_be_one_is_refused(content_type: str) -> None:
    with pytest.raises(MalformedBody):
        parse_form(content_type, b"--b\r\n\r\n\r\n--b--")


@pytest.mark.parametrize(
    "content_type", ["", "application/json", "text/plain", "multipart/mixed; boundary=a", "multipart"]
)
def test_other_types_are_no_forms(content_type: str) -> None:
    with pytest.raises(UnsupportedMedia):
        parse_form(content_type, b"a=1")


def test_a_urlencoded_form_gives_its_fields() -> None:
    form = parse_form(
        URLENCODED + "; charset=utf-8", urlencode({"prompt": "ein Apfel & é", "n": "", "a[]": "1"}).encode()
    )
    assert form.text("prompt") == "ein Apfel & é"
    assert form.text("n") == ""
    assert form.text("a[]") == "1"


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"&".join([b"a=1"] * 4), BodyTooLarge),
        (b"&" * 10**6, BodyTooLarge),
        (b"a=" + b"x" * 49, BodyTooLarge),
        (b"a=%ff", MalformedBody),
        ("a=é".encode(), MalformedBody),
    ],
    ids=range(5),
)
def test_a_urlencoded_form_has_the_same_limits(body: bytes, error: type[RetouchError]) -> None:
    with pytest.raises(error):
        parse_form(URLENCODED, body, limits=SMALL)


@given(
    st.lists(
        st.tuples(st.text("abc[]_", min_size=1, max_size=8), st.binary(max_size=200), st.booleans()), max_size=10
    )
)
def test_whatever_a_client_packs_comes_out(parts: list[tuple[str, bytes, bool]]) -> None:
    packed = whole(*(file_part(name, data) if is_file else text_part(name, data) for name, data, is_file in parts))
    assert parse_form(MULTIPART, packed).parts == tuple(Part(*one) for one in parts)


SHORT = "multipart/form-data; boundary=b"
OPENED = b'--b\r\nContent-Disposition: form-data; name="a"; filename="a"\r\n\r\n'
MILLION = 10**6
HOSTILE: dict[str, Callable[[], tuple[str, bytes]]] = {
    "parts": lambda: (MULTIPART, whole(*[text_part("a")] * 100_000)),
    "empty parts": lambda: (SHORT, b"--b\r\n\r\n\r\n" * MILLION + b"--b--"),
    "files": lambda: (MULTIPART, whole(*[file_part("a", b"")] * 100_000)),
    "preamble": lambda: (SHORT, b"\r\n" * 8 * MILLION + OPENED),
    "preamble of hyphens": lambda: (SHORT, b"\r-" * 8 * MILLION),
    "header name": lambda: (SHORT, b"--b\r\n" + b"a" * 16 * MILLION),
    "header value": lambda: (SHORT, b"--b\r\na: " + b"a" * 16 * MILLION),
    "header values": lambda: (SHORT, b"--b\r\n" + b"a: b\r\n" * 2 * MILLION),
    "file name": lambda: (SHORT, OPENED[:-6] + b"\\" * 16 * MILLION),
    "almost boundaries": lambda: (SHORT, OPENED + b"\r\n--" * 4 * MILLION),
    "boundaries with a tail": lambda: (SHORT, OPENED + b"\r\n--bx" * 2 * MILLION),
    "returns": lambda: (SHORT, OPENED + b"\r" * 16 * MILLION),
    "type": lambda: ('multipart/form-data; boundary="' + '\\"' * 8_000, OPENED),
    "options": lambda: ("multipart/form-data" + ';";"' * 4_000 + "; boundary=b", OPENED),
    "urlencoded": lambda: (URLENCODED, b"a=1&" * 4 * MILLION),
    "percents": lambda: (URLENCODED, b"%" * 16 * MILLION),
}


@needs_proc
@pytest.mark.parametrize("name", HOSTILE)
def test_sixteen_hostile_megabytes_cost_little_time_and_memory(name: str) -> None:
    content_type, body = HOSTILE[name]()
    began = time.process_time()
    with grows_less_than(50), pytest.raises(RetouchError):
        parse_form(content_type, body)
    assert time.process_time() - began < 1


def test_what_follows_a_form_is_passed_over_at_once() -> None:
    body = OPENED + b"x\r\n--b--" + b"\r\n--b" * 10 + b"\r\n" * 8 * MILLION
    began = time.process_time()
    assert parse_form(SHORT, body) == Form((Part("a", b"x", is_file=True),))
    assert time.process_time() - began < 1
