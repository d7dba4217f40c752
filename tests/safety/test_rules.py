"""Rules weigh terms, alone and near one another, and harmless phrases excuse only so much."""

from importlib.resources import files

import pytest

from retouch.safety.lexicon import expand, lines_of
from retouch.safety.normalise import readings
from retouch.safety.rules import CATEGORIES, MINORS, compile_rules, default_rules
from retouch.safety.screen import screen_prompt

RULES = compile_rules(
    ["hate\t1\tsour apple", "hate\t1\tapple/pear ~ worm*", "hate\t0.5\tlemon", "sexual\t0.5\tplum",
     "minors\t1\tkitten"],
    ["lemon tea", "worm in the soil", "lemon ~ cake", "lemon peel", "plum jam", "plum portrait\tadults"],
)  # fmt: skip


def categories(prompt: str) -> set[str]:
    return {finding.category for finding in screen_prompt(prompt, rules=RULES).findings}


@pytest.mark.parametrize(
    "prompt", ["sour apples", "a worm in an apple", "pears, full of many worms", "sour-apple", "s o u r apple"]
)
def test_what_blocks(prompt: str) -> None:
    assert categories(prompt) == {"hate"}


@pytest.mark.parametrize(
    "prompt",
    ["an apple", "a worm", "an apple on a tree in a garden, a worm", "a lemon, lemons",
     "an apple, a worm in the soil"],
)  # fmt: skip
def test_what_passes(prompt: str) -> None:
    assert categories(prompt) == set()


def test_two_harmless_phrases_excuse_and_a_third_does_not() -> None:
    rules = compile_rules(
        ["hate\t0.5\tbitter", "hate\t0.5\tlemon"], ["bitter tea", "bitter end", "lemon peel", "lemon pie"]
    )
    assert screen_prompt("bitter tea and lemon peel", rules=rules).decision == "pass"
    assert screen_prompt("bitter tea, bitter tea, lemon peel, bitter tea", rules=rules).decision == "pass"
    stacked = screen_prompt("bitter tea, bitter end, lemon peel, lemon pie", rules=rules)
    assert stacked.decision == "pass"  # a single term is left: half of what blocks
    assert screen_prompt("bitter tea, bitter end, lemon peel, bitter lemon", rules=rules).decision == "block"


def test_a_phrase_excuses_its_own_words_only() -> None:
    assert categories("lemon tea and a lemon, sour apple") == {"hate"}


def test_a_phrase_may_leave_words_open() -> None:
    rules = compile_rules(["hate\t1\tlemon"], ["lemon ~ cake"])
    assert screen_prompt("a lemon in a dry cake", rules=rules).decision == "pass"
    assert screen_prompt("a lemon in a very dry old cake", rules=rules).decision == "block"


def test_beside_minors_one_harmless_phrase_counts_and_none_about_bodies() -> None:
    assert categories("a kitten, a plum") == {"sexual_minors"}
    assert categories("a kitten, plum jam") == set()
    assert categories("a kitten, plum jam, plum portrait") == {"sexual_minors"}
    assert categories("plum portrait") == set()


def test_own_rules_name_only_known_categories() -> None:
    assert {term.category for term in default_rules().terms} == CATEGORIES | {MINORS}


def test_every_harmless_phrase_excuses_a_term() -> None:
    rules = default_rules()
    lines = (files("retouch.safety") / "contexts.txt").read_text(encoding="utf-8").splitlines()
    phrases = [phrase for line in lines_of(lines) for phrase in expand(line.partition("\t")[0])]
    assert not [phrase for phrase in phrases if not any(rules.lexicon.find(readings(phrase)[0]))]
