"""JSON has one meaning and a bounded size, or is refused."""

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.memory import grows_less_than, needs_proc

from retouch.errors import BodyTooLarge, MalformedBody, RetouchError
from retouch.serve.strict_json import parse_json, parse_json_object


def _nested(depth: int) -> bytes:
    return b"[" * depth + b"]" * depth


def test_a_document_is_read_as_json_reads_it() -> None:
    document = {"a": [1, -2, 3.5, 1e-9, True, None, 'é \U0001f600 " \\ /'], "b": {"c": {}}, "": []}
    assert parse_json(json.dumps(document).encode()) == document
    assert parse_json(json.dumps(document, ensure_ascii=False, indent=2).encode()) == document


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=5),
    max_leaves=20,
)


json_like = st.text(alphabet='[]{},:"\\ \n0123456789eE+-.truefalsnu\ud7ff', max_size=60)


@settings(deadline=None)
@given(json_values)
def test_whatever_json_can_say_comes_through(value: Any) -> None:
    assert parse_json(json.dumps(value).encode()) == value


@given(
    st.binary(max_size=200)
    | st.text(alphabet='[]{},:"\\ \n0123456789eE+-.truefalsnu\ud7ff', max_size=60).map(str.encode)
)
def test_any_bytes_are_parsed_as_json_parses_them_or_refused(data: bytes) -> None:
    try:
        parsed = parse_json(data)
    except RetouchError:
        return
    assert parsed == json.loads(data)


def test_depth_has_a_limit() -> None:
    assert parse_json(_nested(16)) is not None
    for data in (_nested(17), _nested(10**6), b'{"a":' * 10**5, b"[{" * 9):
        with pytest.raises(MalformedBody):
            parse_json(data)


def test_brackets_in_texts_have_no_depth() -> None:
    text = '[[[[[[[[[[[[[[[[[[[[{{{{{{{{{{{{{{{{{{{{\\"[[['
    assert parse_json(json.dumps([text]).encode()) == [text]


@pytest.mark.parametrize(
    "data",
    [
        b"NaN",
        b'{"a": NaN}',
        b"[Infinity]",
        b"[-Infinity]",
        b"1e999",
        b"-1e999",
        b"[1e400]",
        b"0." + b"1" * 10**6,
        b"1" * 10**6,
        b"9" * 41,
    ],
    ids=lambda data: data[:20].decode(),
)
def test_numbers_that_are_none_or_endless_are_refused(data: bytes) -> None:
    began = time.process_time()
    with pytest.raises(MalformedBody):
        parse_json(data)
    assert time.process_time() - began < 1


@pytest.mark.parametrize("data", [b'{"a": 1, "a": 2}', b'{"a": {"b": 1, "b": 1}}', b'[{"a": 1, "\\u0061": 2}]'])
def test_a_key_that_stands_twice_is_refused(data: bytes) -> None:
    with pytest.raises(MalformedBody):
        parse_json(data)


@pytest.mark.parametrize(
    "data",
    [
        '"é"'.encode("latin-1"),
        '"a"'.encode("utf-16"),
        b"\xef\xbb\xbf{}",
        b'"\xed\xa0\x80"',
        b'"\xc0\xaf"',
        b'"\xff"',
    ],
)
def test_other_bytes_than_utf8_are_refused(data: bytes) -> None:
    with pytest.raises(MalformedBody):
        parse_json(data)


@pytest.mark.parametrize("data", [rb'"\ud800"', rb'{"\uDFFF": 1}', rb'[{"a": ["\ude00\ud83d"]}]'])
def test_half_surrogates_are_refused_because_no_encoder_takes_them(data: bytes) -> None:
    with pytest.raises(MalformedBody):
        parse_json(data)


def test_the_number_of_values_has_a_limit() -> None:
    assert len(parse_json(json.dumps([0] * 1_000).encode())) == 1_000
    for data in (b"[" + b"0," * 10**6 + b"0]", b"[" + b"[]," * 10**6 + b"0]", b'["' + b'","' * 10**6 + b'"]'):
        with pytest.raises(BodyTooLarge):
            parse_json(data)


@pytest.mark.parametrize(
    "data", [b"", b" ", b"{", b"]", b'"', b'"abc', b'"abc\\"', b"[1,]", b"{'a': 1}", b"{a: 1}", b"01", b"[] []"]
)
def test_what_is_no_json_is_refused_without_being_quoted(data: bytes) -> None:
    with pytest.raises(MalformedBody) as refused:
        parse_json(data)
    assert "abc" not in str(refused.value)


@pytest.mark.parametrize("data", [b"[]", b"1", b"null", b'"a"'])
def test_where_an_object_is_due_nothing_else_is_taken(data: bytes) -> None:
    with pytest.raises(MalformedBody):
        parse_json_object(data)
    assert parse_json_object(b'{"a": 1}') == {"a": 1}


HOSTILE: dict[str, Callable[[], bytes]] = {
    "a text without an end": lambda: b'"' + b'\\"' * 10**7,
    "quotes": lambda: b'"' * 10**7,
    "openings": lambda: b"[" * 10**7,
    "closings": lambda: b"]" * 10**7,
    "empty arrays": lambda: b"[" + b"[]," * 10**7 + b"[]]",
    "empty objects": lambda: b"[" + b"{}," * 10**7 + b"{}]",
    "numbers": lambda: b"[" + b"0," * 10**7 + b"0]",
    "digits": lambda: b"1" * 10**7,
    "fractions": lambda: b"0." + b"1" * 10**7,
    "spaces": lambda: b" " * 10**7,
    "backslashes": lambda: b'"' + b"\\" * 10**7,
    "keys": lambda: b"{" + b'"":0,' * 10**7 + b'"":0}',
    "commas": lambda: b"," * 10**7,
    "colons": lambda: b":" * 10**7,
}


@needs_proc
@pytest.mark.parametrize("name", HOSTILE)
def test_ten_million_hostile_characters_cost_little_time_and_memory(name: str) -> None:
    data = HOSTILE[name]()
    began = time.process_time()
    with grows_less_than(50), pytest.raises(RetouchError):
        parse_json(data)
    assert time.process_time() - began < 2
