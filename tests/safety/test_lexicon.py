"""Terms are found however their letters are doubled and divided, and English words are no disguise."""

import pytest
from tests.safety.disguises import DISGUISES

from retouch.safety.lexicon import Lexicon, expand
from retouch.safety.normalise import readings
from retouch.safety.rules import default_rules
from retouch.safety.screen import screen_prompt

PLAIN = sorted(
    word
    for word in {word.rstrip("*") for term in default_rules().terms for group in term.groups for word in group}
    if word.isalpha() and screen_prompt(word).decision == "block"
)
"""Single words that block on their own."""


def found(text: str, *terms: str) -> set[str]:
    lexicon = Lexicon()
    for term in terms:
        lexicon.add(term)
    return {hit.term for reading in readings(text) for hit in lexicon.find(reading)}


@pytest.mark.parametrize(
    "text", ["apple", "apples", "ap ple", "a p p l e", "app-le", "aapplee", "ap  pple", "a.p.p.l.e", "4 p p 1 3"]
)
def test_a_word_is_found(text: str) -> None:
    assert found(f"one {text} more", "apple") == {"apple"}


@pytest.mark.parametrize("text", ["aple", "pineapple", "applet", "ap", "ple ap", "apple" + "x" * 5000])
def test_another_word_is_not(text: str) -> None:
    assert found(text, "apple") == set()


def test_a_stem_stands_for_all_that_begins_so() -> None:
    assert found("orchardists", "orchard*") == found("orch-ardists", "orchard*") == {"orchard*"}
    assert found("an or chard", "orchard*") == {"orchard*"}
    assert found("orchar dists", "orchard*") == {"orchard*"}


def test_a_phrase_is_found_run_together_too() -> None:
    assert found("redapple", "red apple") == found("red-apple", "red apple") == {"red apple"}


@pytest.mark.parametrize(
    ("text", "term"),
    [("a pen is here", "penis"), ("to be heading home", "behead*"), ("a rapper rapping", "raping"),
     ("the children's laughter", "slaughter*"), ("his shot a second later", "shota"),
     ("an owl's hooting", "shooting"), ("a min or max", "minor"), ("her ex's ex", "sex")],
)  # fmt: skip
def test_what_is_put_together_from_english_words_is_no_disguise(text: str, term: str) -> None:
    assert found(text, term) == set()


def test_a_pattern_stands_for_all_its_words() -> None:
    assert list(expand("red/green apple/pear")) == ["red apple", "red pear", "green apple", "green pear"]


@pytest.mark.parametrize("disguise", DISGUISES.values(), ids=DISGUISES)
def test_a_disguise_does_not_help(disguise) -> None:  # type: ignore[no-untyped-def]
    """All single words that block by themselves. A space hides a few: `mass acre` is English, too."""
    hidden = [word for word in PLAIN if disguise(word) != word]
    passed = [word for word in hidden if screen_prompt(f"a photo of {disguise(word)} here").decision == "pass"]
    assert len(PLAIN) > 90
    assert hidden
    assert len(passed) <= (3 if disguise is DISGUISES["one space"] else 0), passed
