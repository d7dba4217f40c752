"""The words that a seed adds to a prompt, by the advice of a checkpoint that has several pictures of a thing."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from retouch.data.colour import COLOURS
from retouch.inpainter import Inpainter
from retouch.models.bundle import Recommended
from retouch.models.components import read_notes
from retouch.models.facts import config_marks
from retouch.models.locate import locate
from retouch.models.vocabulary import count_tokens
from retouch.opened import open_pictures
from retouch.prepare import prepare, settle
from retouch.prompts import Prompt
from retouch.record import SharedRecord, record_of
from retouch.request import DEFAULT_LIMITS, InpaintRequest
from retouch.variants import with_variant

COLOURED = Recommended(variants=("", "red", "orange"), variants_of=("hat", "top hat", "umbrella"))


def _request(**fields: Any) -> InpaintRequest:
    mask = np.zeros((40, 48), np.uint8)
    mask[10:20, 10:20] = 255
    return InpaintRequest("a cat", np.full((40, 48, 3), 90, np.uint8), mask).with_fields(**fields)


VARIED = Recommended(variants=("", "drawing", "another"))


def _prompts(inpainter: Inpainter, advice: Recommended = VARIED, **fields: Any) -> list[str]:
    bundle = replace(inpainter.bundle, recommended=advice)
    request = settle(_request(**{"seed": 6, "num_images_per_prompt": 4} | fields), bundle, DEFAULT_LIMITS)
    opened = open_pictures(request, limits=DEFAULT_LIMITS)
    return [plan.prompt for plan in prepare(opened, bundle, since=0.0).plans]


def test_consecutive_seeds_ask_for_one_picture_of_a_thing_after_the_other(inpainter: Inpainter) -> None:
    assert _prompts(inpainter) == ["a cat", "a cat, drawing", "a cat, another", "a cat"]


def test_a_seed_asks_for_the_same_picture_alone(inpainter: Inpainter) -> None:
    assert _prompts(inpainter, seed=8, num_images_per_prompt=1) == ["a cat, another"]


@pytest.mark.parametrize("prompt", ["a Drawing of a cat", "another cat", "", " "])
def test_a_prompt_that_says_which_picture_or_nothing_stays_as_it_is(inpainter: Inpainter, prompt: str) -> None:
    assert _prompts(inpainter, prompt=prompt) == [prompt] * 4


def test_the_reference_mode_and_other_checkpoints_add_no_word(inpainter: Inpainter) -> None:
    assert _prompts(inpainter, reference=True) == ["a cat"] * 4
    assert _prompts(inpainter, advice=Recommended()) == ["a cat"] * 4


def test_no_word_is_added_where_it_would_take_the_place_of_what_stands_behind_the_prompt(
    inpainter: Inpainter,
) -> None:
    bundle = replace(inpainter.bundle, recommended=VARIED)
    full = with_variant(_request(strength=1), bundle, 1)
    tight = count_tokens(Prompt(full, "plain"), bundle.tokenizer) + 2
    for room, expected in ((tight, full), (tight - 1, "a cat")):
        bundle = replace(inpainter.bundle, recommended=replace(VARIED, prompt_tokens=room))
        assert with_variant(_request(strength=1), bundle, 1) == expected


def test_the_record_tells_what_the_model_was_asked_where_that_is_more(inpainter: Inpainter) -> None:
    bundle = replace(inpainter.bundle, recommended=VARIED)
    request = settle(_request(seed=6), bundle, DEFAULT_LIMITS)
    shared = SharedRecord.of(prepare(open_pictures(request, limits=DEFAULT_LIMITS), bundle, since=0.0), bundle)
    first, second = (record_of(shared, seed=seed, rows_per_call=1).record for seed in (6, 7))
    assert (first.get("spoken_prompt"), first["request"]["prompt"]) == (None, "a cat")
    assert (second["spoken_prompt"], second["request"]["prompt"]) == ("a cat, drawing", "a cat")


def test_what_the_request_says_is_not_what_the_seed_adds(inpainter: Inpainter) -> None:
    bundle = replace(inpainter.bundle, recommended=VARIED)
    assert settle(_request(seed=1), bundle, DEFAULT_LIMITS).prompt == "a cat"


@pytest.mark.parametrize(
    ("prompt", "red", "orange"),
    [
        ("a hat", "a red hat", "an orange hat"),
        ("An umbrella", "A red umbrella", "An orange umbrella"),
        ("hat", "red hat", "orange hat"),
        ("a hat on a table", "a red hat on a table", "an orange hat on a table"),
        ("a top hat, high quality", "a red top hat, high quality", "an orange top hat, high quality"),
        ("(a hat:1.2)", "(a red hat:1.2)", "(an orange hat:1.2)"),
        ("a (hat:1.2)", "a (red hat:1.2)", "an (orange hat:1.2)"),
        ("a\nhat", "a\nred hat", "an\norange hat"),
        ("a hat and an umbrella", "a red hat and an umbrella", "an orange hat and an umbrella"),
    ],
)
def test_words_for_some_things_stand_before_the_first_of_them(
    inpainter: Inpainter, prompt: str, red: str, orange: str
) -> None:
    assert _prompts(inpainter, COLOURED, prompt=prompt) == [prompt, red, orange, prompt]


@pytest.mark.parametrize(
    "prompt",
    [
        *("a cat", "a hatch", "a hat-stand", "a hat stand", "a hat's shadow", "hat a table", "a hat made of gold"),
        *("the hat", "a straw hat", "a blue hat", "a hat, orange", "a hat with red feathers"),
    ],
)
def test_other_things_and_those_that_are_described_stay_as_they_are(inpainter: Inpainter, prompt: str) -> None:
    assert _prompts(inpainter, COLOURED, prompt=prompt) == [prompt] * 4


def test_a_word_that_is_not_wanted_is_not_added_nor_any_where_something_is_kept(inpainter: Inpainter) -> None:
    assert _prompts(inpainter, COLOURED, prompt="a hat", negative_prompt="Red, blurry") == ["a hat"] * 4
    assert _prompts(inpainter, COLOURED, prompt="a hat", strength=0.6) == ["a hat"] * 4


def test_a_word_may_be_several(inpainter: Inpainter) -> None:
    advice = replace(COLOURED, variants=("", "dark red"))
    assert _prompts(inpainter, advice, prompt="a hat")[1] == "a dark red hat"
    assert _prompts(inpainter, advice, prompt="a hat, Dark  Red") == ["a hat, Dark  Red"] * 4


def test_the_embedded_model_contradicts_no_colour_that_is_said(inpainter: Inpainter) -> None:
    advice = read_notes(locate(None).path).recommended
    assert set(COLOURS) < set(advice.variants or ())
    advice = replace(advice, prompt_tokens=None)  # the tiny tokenizer has many tokens for a word
    assert len(set(_prompts(inpainter, advice, prompt="a hat", num_images_per_prompt=12))) == 12


def test_the_things_that_words_are_for_tell_models_apart(inpainter: Inpainter) -> None:
    others = replace(COLOURED, variants_of=("hat",))
    marks = [config_marks(replace(inpainter.bundle, recommended=advice)) for advice in (COLOURED, others)]
    assert marks[0]["config"] != marks[1]["config"]
