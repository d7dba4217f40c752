"""Disguises of a word are read as the word; plain text stays what it is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retouch.safety.normalise import fold, readings


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("A red APPLE, on a bench!", "a red apple on a bench"),
        ("café Grüße", "cafe grusse"),
        ("\uff41\uff50\uff50\uff4c\uff45", "apple"),
        ("арр\u200ble", "apple"),
        ("a p p l e", "apple"),
        ("a.p.p.l.e", "apple"),
        ("a-p-p-l-e pie", "apple pie"),
        ("aaapple", "apple"),
        ("xxx", "xxx"),
        ("iso 100, f/1.4", "iso 100 f 1 4"),
        ("", ""),
    ],
)
def test_text_is_folded_to_what_a_reader_sees(text: str, folded: str) -> None:
    assert fold(text) == folded


@pytest.mark.parametrize("text", ["4ppl3", "app1e pie".replace("1", "l"), "ap.ple", "@pple", "АРРLE"])
def test_some_reading_finds_the_word(text: str) -> None:
    assert any("apple" in reading.split() for reading in readings(text))


@given(st.text(max_size=200))
def test_any_text_folds_to_words_and_folding_again_changes_nothing_unsafe(text: str) -> None:
    folded = fold(text)
    assert all(part.isalnum() and part.isascii() for part in folded.split())
    assert len(readings(text)) <= 3
