"""JSON as strangers may send it: shallow, of few values, and with one meaning.

What two parsers could read differently is refused: double keys, NaN and infinity, numbers past any field's range,
half surrogates, bytes that are not UTF-8. Depth and number of values are counted in the bytes, before a parser
makes objects of them: `[[],[],...` would take twenty times its size.
"""

import json
import math
import re
from dataclasses import dataclass
from typing import Any, NoReturn

from retouch.errors import BodyTooLarge, MalformedBody

MAX_DIGITS = 40
"""Characters of one number: more than any field has use for, and int() is quadratic in them."""

_TOKEN = re.compile(
    rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'  # a string, without a way back
    rb'|[^"\[\]{}]++'  # what is neither string nor bracket; its commas are counted
    rb"|[\[\]{}\"]",  # a quote alone opens a string that never ends
    re.DOTALL,
)
_HALF_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


@dataclass(frozen=True, slots=True)
class JsonLimits:
    """What a document may be at most.

    Attributes:
        depth: objects and arrays within each other.
        values: brackets, commas and strings, all together.
    """

    depth: int = 16
    values: int = 20_000


DEFAULT_JSON_LIMITS = JsonLimits()


def parse_json(data: bytes, *, limits: JsonLimits = DEFAULT_JSON_LIMITS) -> Any:
    """Parse a document of bounded size.

    Returns:
        dict, list, str, int, float (finite), bool or None.

    Raises:
        MalformedBody: it is no JSON, is ambiguous, or is nested too deep.
        BodyTooLarge: it holds too many values.
    """
    _check_shape(data, limits)
    try:
        text = data.decode("utf-8")
        parsed = json.loads(
            text,
            object_pairs_hook=_object,
            parse_constant=_refuse_constant,
            parse_int=_integer,
            parse_float=_number,
        )
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        place = error.start if isinstance(error, UnicodeDecodeError) else error.pos
        kind = "UTF-8" if isinstance(error, UnicodeDecodeError) else "JSON"
        raise MalformedBody(f"the body is not {kind} at {place}") from error
    if _HALF_SURROGATE.search(data):
        _check_text(parsed)
    return parsed


def parse_json_object(data: bytes, *, limits: JsonLimits = DEFAULT_JSON_LIMITS) -> dict[str, Any]:
    """Parse a document that must be an object.

    Raises:
        MalformedBody: it is another value, or as in `parse_json`.
        BodyTooLarge: as in `parse_json`.
    """
    parsed = parse_json(data, limits=limits)
    if not isinstance(parsed, dict):
        raise MalformedBody("the body is not a JSON object", hint="send {...}")
    return parsed


def _check_shape(data: bytes, limits: JsonLimits) -> None:
    depth = values = 0
    for found in _TOKEN.finditer(data):
        start, end = found.span()
        match data[start]:
            case 0x5B | 0x7B:  # [ {
                depth += 1
                values += 1
            case 0x5D | 0x7D:  # ] }
                depth -= 1
            case 0x22 if end == start + 1:
                raise MalformedBody("a string in the body has no end")
            case 0x22:
                values += 1
            case _:
                values += data.count(b",", start, end)
        if not 0 <= depth <= limits.depth:
            raise MalformedBody(f"brackets in the body are nested deeper than {limits.depth}, or do not match")
        if values > limits.values:
            raise BodyTooLarge(f"the body holds more than {limits.values} values")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise MalformedBody("an object in the body has a key twice")
    return made


def _refuse_constant(_: str) -> NoReturn:
    raise MalformedBody("the body holds NaN or Infinity, which JSON has not")


def _integer(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise MalformedBody("a number in the body has too many digits")
    return int(digits)


def _number(digits: str) -> float:
    value = float(digits) if len(digits) <= MAX_DIGITS else math.inf
    if not math.isfinite(value):
        raise MalformedBody("a number in the body is too large, or has too many digits")
    return value


def _check_text(value: Any) -> None:
    """Refuse strings that cannot be encoded; the depth was checked."""
    match value:
        case str():
            if not value.isascii() and any("\ud800" <= char <= "\udfff" for char in value):
                raise MalformedBody("a string in the body holds half a surrogate pair")
        case dict():
            for key, inner in value.items():
                _check_text(key)
                _check_text(inner)
        case list():
            for inner in value:
                _check_text(inner)
