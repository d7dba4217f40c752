"""Letters in disguise are read as letters; plain text stays what it is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retouch.safety.normalise import Word, fold, readings


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("A red APPLE, on a bench!", "a red apple on a bench"),
        ("café Grüße", "cafe grusse"),
        ("\uff41\uff50\uff50\uff4c\uff45", "apple"),
        ("арр\u200ble", "apple"),
        ("ΑΡΡLΕ", "apple"),
        ("🄰🄿🄿🄻🄴 🅰🅿🅿🅻🅴 🅐🅟🅟🅛🅔", "apple apple apple"),
        ("a\u20ddp\u20ddp\u20ddl\u20dde\u20dd", "apple"),
        ("pınk", "pink"),
        ("smørrebrød encyclopædia", "smorrebrod encyclopaedia"),
        ("١٢ years", "12 years"),
        ("a.p-p,l'e", "a p p l e"),
        ("iso 100, f/1.4", "iso 100 f 1 4"),
        ("一个红苹果", ""),
        ("", ""),
    ],
)
def test_text_is_folded_to_what_a_reader_sees(text: str, folded: str) -> None:
    assert fold(text) == folded


def test_a_word_tells_whether_it_hangs_on_the_one_before() -> None:
    (words,) = readings("ap-ple, pie\u3164s")
    assert words == (Word("ap"), Word("ple", True), Word("pie"), Word("s", True))


@pytest.mark.parametrize("text", ["4ppl3", "app1e", "@pple", "АРРLE", "4|>ple".replace("|>", "p"), "app|e"])
def test_some_reading_has_the_word(text: str) -> None:
    assert any(Word("apple") in words for words in readings(text))


def test_numbers_are_numbers_in_one_reading() -> None:
    assert Word("12") in readings("a girl aged 12, l33t")[0]


@given(st.text(max_size=200))
def test_any_text_is_read_as_words(text: str) -> None:
    assert all(part.isalnum() and part.isascii() for part in fold(text).split())
    assert 1 <= len(readings(text)) <= 3
    assert all(word.text.isalnum() and word.text.isascii() for words in readings(text) for word in words)
