"""Requests that can be run, but will hardly give what was meant, are told so."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from retouch.advice import request_warnings
from retouch.imaging.morphology import Mask
from retouch.inpainter import Inpainter
from retouch.models.bundle import ModelBundle, Recommended
from retouch.request import InpaintRequest


@pytest.fixture
def small(inpainter: Inpainter) -> ModelBundle:
    """A small model that learnt holes in the middle of its pictures."""
    words = frozenset({"cat", "red"})
    return replace(inpainter.bundle, vocabulary=words, recommended=Recommended(context=0.4))


def box(height: int, width: int) -> Mask:
    mask = np.zeros((100, 120), np.bool_)
    mask[10 : 10 + height, 20 : 20 + width] = True
    return mask


def told(bundle: ModelBundle, mask: Mask | None = None, hole: Mask | None = None, **fields: Any) -> str:
    request = InpaintRequest("a red cat", b"").with_fields(**fields)
    mask = box(40, 40) if mask is None else mask
    return "\n".join(request_warnings(request, mask, bundle, hole=mask if hole is None else hole))


def test_an_ordinary_request_needs_no_warning(small: ModelBundle, inpainter: Inpainter) -> None:
    assert told(small) == ""
    assert told(inpainter.bundle, box(4, 90), region="whole", prompt="") == ""


@pytest.mark.parametrize("prompt", ["", "  "])
def test_an_empty_prompt_to_a_model_that_cannot_remove(small: ModelBundle, prompt: str) -> None:
    assert "cannot remove" in told(small, prompt=prompt)
    taught = replace(small, vocabulary=frozenset({"cat", ""}))
    assert told(taught, prompt=prompt) == ""


def test_words_that_ask_for_nothing_are_as_empty_as_none(small: ModelBundle) -> None:
    assert told(small, prompt="red") == told(small, prompt="red", strength=1) == ""
    advised = replace(small, recommended=Recommended(removal="patchmatch", removal_prompts=("red",)))
    assert "cannot remove" in told(advised, prompt="Red.")
    assert told(advised, prompt="Red.", strength=0) == ""


@pytest.mark.parametrize("prompt", ["remove the red cat", "Erase  a cat"])
def test_a_thing_that_shall_be_removed_would_be_painted(small: ModelBundle, prompt: str) -> None:
    assert "asks for the thing" in told(small, prompt=prompt)


def test_a_prompt_that_no_model_reads_is_told(small: ModelBundle) -> None:
    assert "no effect at strength 0" in told(small, strength=0)
    assert told(small, box(4, 90), strength=0, prompt="", region="whole") == ""
    assert "variants hardly differ" in told(small, strength=0, prompt="", num_images_per_prompt=2)
    assert "everything is marked" in told(small, np.ones((100, 120), np.bool_), strength=0, prompt="")


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ({"prompt": "a (red:1.4) cat"}, True),
        ({"negative_prompt": "(dog: .5)"}, True),
        ({"prompt": "a (red) cat"}, False),
        ({"prompt": "a cat: red"}, False),
    ],
)
def test_weights_of_words_have_no_effect(fields: dict[str, str], found: bool, inpainter: Inpainter) -> None:
    assert ("weights of words" in told(inpainter.bundle, **fields)) == found


def test_the_whole_picture_is_not_what_a_model_of_crops_wants(small: ModelBundle) -> None:
    assert "`region=whole`" in told(small, region="whole")


@pytest.mark.parametrize(("height", "width", "found"), [(40, 40, False), (30, 60, False), (20, 80, True)])
def test_a_long_hole_is_no_place_for_one_object(height: int, width: int, found: bool, small: ModelBundle) -> None:
    assert ("long or ragged" in told(small, box(height, width))) == found


def test_a_brush_stroke_is_no_place_for_one_object_and_a_disc_is(small: ModelBundle) -> None:
    y, x = np.mgrid[:100, :120]
    assert "long or ragged" in told(small, np.abs(y - x) < 8)
    assert told(small, (y - 50) ** 2 + (x - 60) ** 2 < 900) == ""


def test_where_a_part_of_a_long_hole_is_painted_that_is_told(small: ModelBundle) -> None:
    assert "gives a clearer one" in told(small, box(20, 80))
    assert "25% of it" in told(small, box(20, 80), box(20, 20))
    assert told(small, box(20, 30), box(20, 20)) == ""


def test_where_weights_are_read_they_are_no_surprise_and_no_words(small: ModelBundle) -> None:
    assert told(small, prompt="a (red:1.4) [cat]", prompt_syntax="a1111") == ""
    assert "does not know: dog" in told(small, prompt="a (dog:1.4)", prompt_syntax="a1111")


@pytest.mark.parametrize("field", ["prompt", "negative_prompt"])
def test_a_model_that_reads_more_than_the_words_hardly_heeds_weights(small: ModelBundle, field: str) -> None:
    sketching = replace(small, recommended=replace(small.recommended, prompt_tokens=12))
    assert "hardly heeds weights" in told(sketching, **{field: "a (red:1.4) cat"}, prompt_syntax="a1111")
    assert told(sketching, **{field: "a (red:1) cat BREAK"}, prompt_syntax="a1111") == ""


def test_a_network_in_a_prompt_has_no_effect(inpainter: Inpainter) -> None:
    assert "loads no networks: '<lora:style:0.8>'" in told(inpainter.bundle, prompt="a cat <lora:style:0.8>")
    assert "loads no networks" not in told(inpainter.bundle, prompt="a <cat-toy>")


@pytest.mark.parametrize("field", ["prompt", "negative_prompt"])
def test_an_end_that_is_not_read_is_told_of_both_prompts(inpainter: Inpainter, field: str) -> None:
    warning = told(inpainter.bundle, **{field: "a " * 14 + "cat"})
    assert f"the {field.replace('_', ' ')} is longer than 14 tokens; ignored: 'cat'" in warning
    assert told(inpainter.bundle, **{field: "a " * 14 + "cat"}, prompt_syntax="a1111") == ""


@pytest.mark.parametrize("prompt", ["", "()", "# a cat"])
def test_marks_alone_are_an_empty_prompt(small: ModelBundle, prompt: str) -> None:
    assert "cannot remove" in told(small, prompt=prompt, prompt_syntax="a1111")


@pytest.mark.parametrize(("height", "found"), [(64, False), (68, True)])
def test_the_reference_mode_tells_where_it_pads_and_the_pipeline_does_not(
    height: int, found: bool, inpainter: Inpainter
) -> None:
    mask = np.zeros((height, 64), np.bool_)
    mask[16:32, 16:32] = True
    assert inpainter.bundle.size_multiple == 8
    assert ("padded" in told(inpainter.bundle, mask, reference=True)) is found
    assert told(inpainter.bundle, mask) == ""
