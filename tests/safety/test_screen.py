"""The screen blocks what is plain, lets harmless look-alikes pass, and never lets minors through."""

from pathlib import Path

import pytest

from retouch.errors import Blocked
from retouch.safety.rules import CATEGORIES, compile_rules
from retouch.safety.screen import screen_prompt

LINES = (Path(__file__).parent / "prompts.tsv").read_text(encoding="utf-8").splitlines()
TABLE = [tuple(line.split("\t")) for line in LINES if not line.startswith("#")]


@pytest.mark.parametrize(("category", "prompt"), TABLE, ids=[prompt[:40] for _, prompt in TABLE])
def test_prompt_of_the_table(category: str, prompt: str) -> None:
    found = {finding.category for finding in screen_prompt(prompt).findings}
    assert found == set() if category == "-" else category in found


def test_table_is_large_and_covers_every_category() -> None:
    assert len(TABLE) > 300
    assert {category for category, _ in TABLE} == CATEGORIES | {"-"}


@pytest.mark.parametrize("prompt", [prompt for category, prompt in TABLE if category == "sexual_minors"])
def test_minors_are_protected_even_where_the_policy_is_off(prompt: str) -> None:
    assert screen_prompt(prompt, "off").decision == "block"


def test_other_categories_are_the_policys_choice() -> None:
    assert screen_prompt("pornography", "black").decision == "block"
    assert screen_prompt("pornography", "off").decision == "pass"


def test_blocked_prompt_names_its_category_and_not_its_terms() -> None:
    result = screen_prompt("a severed head")
    assert result.as_dict() == {"decision": "block", "categories": ["violence"], "version": result.version}
    with pytest.raises(Blocked, match="violence") as caught:
        result.enforce()
    assert "severed" not in str(caught.value)
    screen_prompt("a red apple").enforce()


def test_deployers_bring_rules_of_their_own() -> None:
    rules = compile_rules(["# comment", "hate\t0.5\tpineapple*", "hate\t0.5\tpizza"], ["pineapple cake"])
    assert screen_prompt("pineapples on pizza", rules=rules).decision == "block"
    assert screen_prompt("pineapple cake and pizza", rules=rules).decision == "pass"
    assert screen_prompt("pizza pizza pizza", rules=rules).decision == "pass"


def test_rules_without_contexts_work() -> None:
    assert screen_prompt("pizza", rules=compile_rules(["hate\t1\tpizza"], [])).decision == "block"


def test_longest_prompt_takes_no_noticeable_time() -> None:
    """Quadratic patterns would take minutes here; the limit of a test run ends it."""
    for unit in ("a ", "a.", "naked", "nude ", "1a", "x" * 50, "naked woman ", "man dead blood body "):
        assert screen_prompt((unit * 2000)[:2000]).decision in ("pass", "block")


def test_harmless_phrases_cannot_be_stacked_to_smuggle() -> None:
    for prompt in (
        "a woman, naked eye, nude tones, sex pistols, topless bus, bottomless brunch",
        "shooting star, blood red, killing time, murder mystery, corpse bride, stab of light",
        "a child, naked eye, nude lipstick",
    ):
        assert screen_prompt(prompt).decision == "block"


@pytest.mark.parametrize("prompt", ["a toddler below a naked cherub", "a teenager as a marble nude"])
def test_art_is_no_excuse_beside_minors(prompt: str) -> None:
    assert screen_prompt(prompt, "off").decision == "block"


@pytest.mark.parametrize(
    "prompt",
    [
        *("(na)(ked) woman", "(na:1.3)(ked:1.2) woman", "na(ked:0.9)woman", r"na\ked woman", "((na)((ked woman"),
        *(
            "(n:1.1)[a](k:2)e(d) woman",
            "na(:1.1)ked woman",
            "[na:ked:0.5] nude woman",
            "<lora:x:1> (na:2)(ked:3) woman",
        ),
    ],
)
def test_weights_are_no_disguise(prompt: str) -> None:
    assert screen_prompt(prompt).decision == "block"


@pytest.mark.parametrize("weight", ["0", "0.01", "-0.2", "0.49"])
def test_what_is_hardly_seen_is_no_excuse(weight: str) -> None:
    assert screen_prompt("a woman, naked eye").decision == "pass"
    assert screen_prompt(f"a woman, naked (eye:{weight})").decision == "block"


@pytest.mark.parametrize(
    "prompt", ["a woman, (naked) eye", "a (red:1.3) apple, [a pen] is here", "naked (mole rat:1.2)"]
)
def test_weights_make_nothing_worse(prompt: str) -> None:
    assert screen_prompt(prompt).decision == "pass"
