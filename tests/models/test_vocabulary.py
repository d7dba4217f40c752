"""Prompts are told what the model does not know and what it will not read."""

from pathlib import Path

import pytest
from tests.factories import tiny_tokenizer

from retouch.models.clip_tokenizer import clip_tokenizer
from retouch.models.vocabulary import cut_off, prompt_warnings, unknown_words
from retouch.prompts import Prompt

KNOWN = frozenset({"cat", "red", "butterfly", "box", "park"})


@pytest.mark.parametrize(
    ("prompt", "unknown"),
    [
        ("a red cat in the park", ()),
        ("Two Zebras and a red CAT, zebras!", ("two", "zebras")),
        ("butterflies, boxes, cats, the cat's park", ()),
        ("", ()),
        ("1234 !?", ()),
        ("un château rouge", ("un", "château", "rouge")),
    ],
)
def test_unknown_words_are_listed_once_in_order(prompt: str, unknown: tuple[str, ...]) -> None:
    assert unknown_words(prompt, KNOWN) == unknown


def test_open_vocabulary_knows_every_word() -> None:
    assert unknown_words("zyzzyva", None) == ()


def test_end_of_a_long_prompt_is_named(tmp_path: Path) -> None:
    tokenizer = tiny_tokenizer(tmp_path, max_tokens=8)
    assert cut_off("a red apple", tokenizer) == ""
    assert cut_off("a red apple on the park bench a cat", tokenizer) == "bench a cat"


def test_clip_reads_seventy_five_tokens() -> None:
    tokenizer = clip_tokenizer()
    assert cut_off(" ".join(["cat"] * 75), tokenizer) == ""
    assert cut_off(" ".join(["cat"] * 75 + ["dog"]), tokenizer) == "dog"


def test_warnings_are_sentences_for_people(tmp_path: Path) -> None:
    tokenizer = tiny_tokenizer(tmp_path, max_tokens=8)
    assert prompt_warnings(Prompt("a red cat"), tokenizer, KNOWN) == ()
    first, second = prompt_warnings(Prompt("one two three four five six red cat"), tokenizer, KNOWN)
    assert first == "the model does not know: one, two, three, four, five and 1 more"
    assert "ignored" in second


def test_a_prompt_longer_than_the_model_reads_well_is_named(tmp_path: Path) -> None:
    tokenizer = tiny_tokenizer(tmp_path, max_tokens=16)
    assert prompt_warnings(Prompt("a red cat"), tokenizer, None, prompt_tokens=5) == ()
    (warning,) = prompt_warnings(Prompt("a red cat in"), tokenizer, None, prompt_tokens=5)
    assert "of 3 better" in warning


def test_the_marks_of_a_syntax_are_no_words() -> None:
    tokenizer = clip_tokenizer()
    assert prompt_warnings(Prompt("a (red:1.3) [cat] BREAK (bo)(x)", "a1111"), tokenizer, KNOWN) == ()
    (warning,) = prompt_warnings(Prompt("a (blue:1.3) cat", "a1111"), tokenizer, KNOWN)
    assert warning == "the model does not know: blue"


def test_a_long_prompt_is_read_to_its_end_where_the_syntax_has_chunks(tmp_path: Path) -> None:
    tokenizer = tiny_tokenizer(tmp_path, max_tokens=8)
    text = "a red apple on the park bench a cat"
    assert "`prompt_syntax=a1111` reads on" in prompt_warnings(Prompt(text), tokenizer, None)[0]
    assert prompt_warnings(Prompt(text, "a1111"), tokenizer, None) == ()
    assert prompt_warnings(Prompt(text, "a1111"), tokenizer, None, prompt_tokens=8) == ()
    (warning,) = prompt_warnings(Prompt(text, "a1111"), tokenizer, None, prompt_tokens=7)
    assert "has 6 tokens" in warning
