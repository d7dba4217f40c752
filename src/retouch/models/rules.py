"""Rules for the values of a config that a stranger wrote: types and bounds, checked before anything is built."""

import reprlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from retouch.errors import ModelError, ModelUnsafe, ModelUnsupported

MAX_LEVELS = 16
_MAX_ITEMS = 1_000
_MAX_WORDS_LENGTH = 60


@dataclass(frozen=True, slots=True)
class Rule:
    """What a value must be: `accepts` tells, `expected` says it in words."""

    expected: str
    accepts: Callable[[Any], bool]
    error: type[ModelError] = ModelUnsafe


Schema = Mapping[str, Rule]


def count(most: int, *, least: int = 1) -> Rule:
    """Take whole numbers in [least, most]; True is none."""
    return Rule(f"{least}..{most}", lambda value: type(value) is int and least <= value <= most)


def number(low: float, high: float) -> Rule:
    """Take finite numbers in [low, high]."""
    return Rule(f"{low:g}..{high:g}", lambda value: type(value) in (int, float) and low <= value <= high)


def one_of(*values: object) -> Rule:
    """Take these values, each only in its own type; another one is of a family that retouch does not run."""
    return Rule(
        " or ".join(map(str, values)),
        lambda value: any(type(value) is type(known) and value == known for known in values),
        ModelUnsupported,
    )


def optional(rule: Rule) -> Rule:
    """Take None, too."""
    return Rule(f"{rule.expected} or null", lambda value: value is None or rule.accepts(value), rule.error)


def each(rule: Rule, *, least: int = 1, most: int = MAX_LEVELS) -> Rule:
    """Take lists of values that the rule takes."""
    return Rule(
        f"a list of {rule.expected}",
        lambda value: isinstance(value, list) and least <= len(value) <= most and all(map(rule.accepts, value)),
        rule.error,
    )


def one_or_each(rule: Rule) -> Rule:
    """Take one value for all levels or a list of one for each."""
    listed = each(rule)
    return Rule(
        f"{rule.expected} or a list", lambda value: rule.accepts(value) or listed.accepts(value), rule.error
    )


FLAG = Rule("true or false", lambda value: type(value) is bool)
WORDS = Rule(
    "a few words",
    lambda value: isinstance(value, str) and len(value) <= _MAX_WORDS_LENGTH and value == " ".join(value.split()),
)
NAME = Rule(WORDS.expected, lambda value: value != "" and WORDS.accepts(value))
TEXT = Rule("a short text", lambda value: isinstance(value, str) and len(value) <= _MAX_ITEMS)


def check(where: str, config: Mapping[str, Any], schema: Schema) -> dict[str, Any]:
    """Return the values that a schema knows; the others are nobody's and are left out.

    Raises:
        ModelUnsafe: a value is of another type or beyond its bounds.
        ModelUnsupported: a choice is of another family.
    """
    for key, value in config.items():
        rule = schema.get(key)
        if rule is None and isinstance(value, list) and len(value) > _MAX_ITEMS:
            raise ModelUnsafe(f"{where}: {reprlib.repr(key)} is beyond any Stable Diffusion checkpoint")
        if rule is not None and not rule.accepts(value):
            raise rule.error(
                f"{where}: {key} is {reprlib.repr(value)}, beyond any Stable Diffusion checkpoint",
                hint=f"expected {rule.expected}",
            )
    return {key: value for key, value in config.items() if key in schema}
