"""Rules take what they say and nothing else, and refuse in few words."""

from typing import Any

import pytest

from retouch.errors import ModelUnsafe, ModelUnsupported
from retouch.models.rules import FLAG, TEXT, Rule, check, count, each, number, one_of, one_or_each, optional

NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("rule", "good", "bad"),
    [
        (count(5), (1, 5), (0, 6, -1, True, 1.0, "1", None, [1], 10**400)),
        (count(5, least=-1), (-1, 0), (-2,)),
        (number(0, 1), (0, 1, 0.5), (-0.1, 1.1, NAN, INF, True, "0", None, 10**400)),
        (one_of(1, None, "a"), (1, None, "a"), (True, 1.0, "b", 0, [])),
        (optional(count(5)), (None, 3), (0, "")),
        (each(count(5)), ([1], [1, 5]), ([], [6], 1, (1,), [[1]], [1] * 17, {"a": 1})),
        (one_or_each(count(5)), (1, [1, 2]), ([], [0], None)),
        (FLAG, (True, False), (0, 1, None, "true")),
        (TEXT, ("", "abc"), (None, 1, "x" * 10_000, ["a"])),
    ],
)
def test_rules_take_what_they_say(rule: Rule, good: tuple[Any, ...], bad: tuple[Any, ...]) -> None:
    assert [value for value in good if not rule.accepts(value)] == []
    assert [value for value in bad if rule.accepts(value)] == []


def test_only_known_keys_are_returned() -> None:
    assert check("config.json", {"a": 1, "b": "whatever"}, {"a": count(5), "c": FLAG}) == {"a": 1}


def test_refusal_names_key_value_and_what_was_expected() -> None:
    with pytest.raises(ModelUnsafe, match=r"config\.json: a is 9, beyond") as caught:
        check("config.json", {"a": 9}, {"a": count(5)})
    assert caught.value.hint == "expected 1..5"
    with pytest.raises(ModelUnsupported):
        check("config.json", {"a": "other"}, {"a": one_of("this")})


@pytest.mark.parametrize("value", ["x" * 10_000_000, [[0] * 1000] * 1000, {str(n): n for n in range(10_000)}])
def test_refusal_is_short_however_long_the_value(value: object) -> None:
    with pytest.raises(ModelUnsafe) as caught:
        check("config.json", {"a": value}, {"a": count(5)})
    assert len(str(caught.value)) < 300


def test_long_lists_are_refused_under_any_key() -> None:
    with pytest.raises(ModelUnsafe, match="beyond"):
        check("config.json", {"x" * 1_000_000: [0] * 10_000}, {})
