"""A prompt's words and weights, as A1111's documentation has them, and whatever text comes."""

import re
import time
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retouch.errors import InvalidField
from retouch.prompts import MAX_WEIGHT, Part, Prompt, check_prompt, parse, said

MARKS = [*"()[]:|\\#\n<>.-1", "9" * 400, ":1.3)", ":0.5]", ":1.2.3)"]
WORDS = ["a", "cat", " ", ", ", "BREAK", " BREAK ", "AND", "<lora:a:1>", "é", "猫", "\x00", "\u2028", "\u0301"]
TEXTS = st.one_of(
    st.text(max_size=2000),
    st.lists(st.sampled_from(MARKS + WORDS), max_size=400).map("".join).map(lambda text: text[:2000]),
    st.sampled_from(MARKS + WORDS).map(lambda unit: (unit * 2000)[:2000]),
)


def parts_of(text: str) -> list[tuple[str, float]]:
    (passage,) = parse(text)
    return [(part.text, pytest.approx(part.weight)) for part in passage]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        # What the docstring of A1111's parser publishes.
        ("normal text", [("normal text", 1.0)]),
        ("an (important) word", [("an ", 1.0), ("important", 1.1), (" word", 1.0)]),
        ("(unbalanced", [("unbalanced", 1.1)]),
        (r"\(literal\]", [("(literal]", 1.0)]),
        ("(unnecessary)(parens)", [("unnecessaryparens", 1.1)]),
        (
            "a (((house:1.3)) [on] a (hill:0.5), sun, (((sky))).",
            [
                ("a ", 1.0),
                ("house", 1.1 * 1.1 * 1.3),
                (" ", 1.1),
                ("on", 1.1 / 1.1),
                (" a ", 1.1),
                ("hill", 1.1 * 0.5),
                (", sun, ", 1.1),
                ("sky", 1.1**4),
                (".", 1.1),
            ],
        ),
        # The rules on its wiki.
        ("((word))", [("word", 1.21)]),
        ("(word:1.5)", [("word", 1.5)]),
        ("(word:0.25)", [("word", 0.25)]),
        ("[word]", [("word", 1 / 1.1)]),
        ("[[word]]", [("word", 1 / 1.21)]),
        (r"\(word\)", [("(word)", 1.0)]),
        (r"anime_\(style\)", [("anime_(style)", 1.0)]),
        # How numbers may be written, and what a colon is without one.
        ("(a: 1.3 )(b:+.5)(c:-1)(d:2.)", [("a", 1.3), ("b", 0.5), ("c", -1.0), ("d", 2.0)]),
        ("(a:b:1.3)", [("a:b", 1.3)]),
        ("(a:b)", [("a:b", 1.1)]),
        ("[a:b]", [("a:b", 1 / 1.1)]),
        ("a: b", [("a: b", 1.0)]),
        # What closes nothing is text, and what is not closed reaches to the end.
        ("a) b] c:1.3)", [("a) b] c:1.3)", 1.0)]),
        (":-) :]", [(":-) :]", 1.0)]),
        ("[a", [("a", 1 / 1.1)]),
        ("((a) b", [("a", 1.21), (" b", 1.1)]),
        ("(a [b) c]", [("a ", 1.1), ("b", 1.0), (" c", 1 / 1.1)]),
        # A backslash makes a bracket text, and is nothing elsewhere.
        (r"\\(a\\)", [("\\", 1.0), ("a\\", 1.1)]),
        (r"C:\dir", [("C:dir", 1.0)]),
        (r"[a\|b]", [("a|b", 1 / 1.1)]),
        ("a|b (c|d)", [("a|b ", 1.0), ("c|d", 1.1)]),
        # A comment ends with its line.
        ("a #(b:2)\nc", [("a \nc", 1.0)]),
        ("(a#)", [("a", 1.1)]),
        ("()[](:1.3)", []),
        ("", []),
    ],
)  # fmt: skip
def test_a_text_is_read_as_there(text: str, parts: list[tuple[str, float]]) -> None:
    assert parts_of(text) == parts


@pytest.mark.parametrize(
    ("text", "passages"),
    [
        ("a BREAK b", [["a "], [" b"]]),
        ("BREAK a BREAK BREAK b BREAK", [[], [" a "], [" "], [" b "], []]),
        ("(a BREAK b:1.3) c", [["a "], [" b", " c"]]),
        ("aBREAK BREAKb break", [["aBREAK BREAKb break"]]),
        ("a,BREAK,b", [["a,"], [",b"]]),
    ],
)
def test_break_parts_passages_as_a_whole_word(text: str, passages: list[list[str]]) -> None:
    assert [[part.text for part in passage] for passage in parse(text)] == passages


def test_a_weight_goes_on_behind_break() -> None:
    assert [part.weight for passage in parse("(a BREAK b:1.3) c") for part in passage] == [1.3, 1.3, 1.0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a cat <lora:style:0.8>", "loads a network"),
        ("<hypernet:x>", "loads a network"),
        ("<lora:a<b:1>", "loads a network"),
        ("<a:> <b:c>", "loads a network"),
        ("a [cat:dog:0.5]", "between steps"),
        ("a [cat:10]", "between steps"),
        ("a [cat::.5]", "between steps"),
        ("[(cat:1.3): 3 ]", "between steps"),
        ("[a:[b:c:2]:1e3]", "between steps"),
        ("a [cat|dog]", "every step"),
        ("[(a|b)]", "every step"),
        ("(a:1.2.3)", "'1.2.3' is no weight"),
        ("(he said:...)", "is no weight"),
        ("(a:1000)", "weighs 1e\\+03"),
        ("(a:-101)", "weighs -101"),
        ("(" * 60 + "a", "weighs"),
        ("(a:" + "9" * 400 + ")", "weighs inf"),
        ("a cat AND a dog", "AND"),
    ],
)
def test_what_is_not_supported_is_refused_and_never_taken_for_words(text: str, message: str) -> None:
    with pytest.raises(InvalidField, match=f"prompt: .*{message}") as caught:
        check_prompt(text, "a1111", field="prompt")
    assert caught.value.hint
    check_prompt(text, "plain", field="prompt")


@pytest.mark.parametrize(
    "text",
    [
        *("<cat-toy>", "a <b c: d>", "<a:>", "1 < 2: yes", "#<lora:a:1> [a|b] AND"),
        *(r"\[cat:dog:0.5\]", r"\[a|b\]", "[a:b:0.5", "[a|b", "and And", "(" * 48 + "a"),
    ],
)
def test_what_only_looks_like_it_is_text(text: str) -> None:
    check_prompt(text, "a1111", field="prompt")


def test_and_is_a_word_of_a_negative_prompt() -> None:
    check_prompt("blur AND noise", "a1111", field="negative_prompt")
    with pytest.raises(InvalidField, match=r"negative_prompt: .* loads a network"):
        check_prompt("<lora:a:1>", "a1111", field="negative_prompt")


@pytest.mark.parametrize("text", ["(a cat:-0.5)", "a (b (c:-1):2)"])
def test_what_is_not_wanted_is_not_wanted_once(text: str) -> None:
    check_prompt(text, "a1111", field="prompt")
    with pytest.raises(InvalidField, match="negative_prompt: has a weight below 0"):
        check_prompt(text, "a1111", field="negative_prompt")


@settings(deadline=None, max_examples=150)
@given(TEXTS)
def test_any_text_is_read_or_refused(text: str) -> None:
    with suppress(InvalidField):
        parts = [part for passage in parse(text) for part in passage]
        assert all(part.text and abs(part.weight) <= MAX_WEIGHT for part in parts)
        assert sum(len(part.text) for part in parts) <= len(text)
    assert sum(map(len, said(text))) <= 4 * len(text) + 4


@settings(deadline=None, max_examples=100)
@given(st.text(st.characters(exclude_characters="()[]\\#<|")))
def test_a_text_without_marks_is_itself(text: str) -> None:
    assert parse(text) == tuple((Part(piece),) if piece else () for piece in re.split(r"\bBREAK\b", text))


@pytest.mark.parametrize(
    "unit",
    ["(a", "[a", "(", "[", ":", ": ", ":1", ": 1 ", "<a:", "<a", "\\", "BREAK ", "a)", "#", "(a:1)", "|[", "([a"],
)
def test_twenty_thousand_characters_take_no_time(unit: str) -> None:
    """They take a tenth of a second of the processor; where a text took its square, it would be many seconds."""
    start = time.process_time()
    said((unit * 20_000)[:20_000])
    assert time.process_time() - start < 3


def test_what_weights_hide_is_said() -> None:
    assert said("plain words") == ("plain words", "plain words")
    assert said("na(ked:1.2) BREAK(mole rat:0.1)") == ("na-ked-  mole rat", "na-ked-  ")


def test_a_prompts_words_are_without_marks() -> None:
    assert Prompt("a (red:1.3) cat", "a1111").words.split() == ["a", "red", "cat"]
    assert Prompt("a (red:1.3) cat").words == "a (red:1.3) cat"
