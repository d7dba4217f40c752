"""The A1111 text is composed and read back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retouch.imaging.parameters import Parameters, format_parameters, parse_parameters

SETTINGS = {"Steps": "20", "Sampler": "Euler a", "CFG scale": "7", "Seed": "1"}


def test_the_text_has_the_form_that_other_programs_read() -> None:
    text = format_parameters("a red apple", "blurry", {**SETTINGS, "Size": "512x512", "Model": None})
    assert text == (
        "a red apple\nNegative prompt: blurry\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1, Size: 512x512"
    )


@pytest.mark.parametrize("value", ["a, b", "a: b", "a\nb", 'say "x"', "ä, 😀"])
def test_values_with_separators_are_quoted(value: str) -> None:
    text = format_parameters("p", "", {**SETTINGS, "Note": value})
    assert parse_parameters(text).settings["Note"] == value
    assert text.count("\n") == 1


PROMPTS = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=40).map(str.strip)


@given(PROMPTS, PROMPTS, st.lists(st.text('abc,:\n"\\ ä', max_size=8).map(str.strip), max_size=3))
def test_what_was_composed_is_read_back(prompt: str, negative: str, notes: list) -> None:
    if prompt.startswith("Negative prompt:"):
        return
    settings = {**SETTINGS, **{f"Note {k}": note for k, note in enumerate(notes)}}
    parsed = parse_parameters(format_parameters(prompt, negative, settings))
    assert parsed == Parameters(prompt, negative, settings)


def test_a_prompt_of_many_lines_stays_whole() -> None:
    text = "first\nsecond\nNegative prompt: bad\nworse\nSteps: 20, Sampler: DDIM, Seed: 3, Mask blur: 4"
    parsed = parse_parameters(text)
    assert (parsed.prompt, parsed.negative_prompt) == ("first\nsecond", "bad\nworse")
    assert parsed.settings["Mask blur"] == "4"


def test_a_text_without_settings_is_all_prompt() -> None:
    assert parse_parameters("a cat: black, small") == Parameters("a cat: black, small")
    assert parse_parameters("") == Parameters()


def test_half_a_surrogate_pair_becomes_a_question_mark() -> None:
    assert parse_parameters('A: "\\ud83d!", B: 1, C: 2').settings["A"] == "?!"


@given(st.text(max_size=300))
def test_any_text_can_be_parsed(text: str) -> None:
    parse_parameters(text)


@pytest.mark.timeout(10)
@pytest.mark.parametrize("line", ['A: "' + '\\"' * 30_000, "a" * 65_000 + ":", "a: b, " * 10_000, 'a: "' * 16_000])
def test_a_hostile_line_takes_no_long_time(line: str) -> None:
    parse_parameters(line)
    parse_parameters(line * 50)
    parse_parameters(f"a{' ' * 60_000}b{line}")
