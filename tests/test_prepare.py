"""What a request leaves open is settled once, and contradictions are errors."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from retouch.errors import DeadlineExceeded, ImageTooLarge, InvalidField, MaskError
from retouch.imaging.morphology import bounding_box
from retouch.inpainter import Inpainter
from retouch.models.bundle import Recommended
from retouch.opened import open_pictures
from retouch.prepare import prepare, settle
from retouch.request import (
    DEFAULT_GUIDANCE_SCALE,
    DEFAULT_LIMITS,
    DEFAULT_NUM_INFERENCE_STEPS,
    DEFAULT_SEAM,
    InpaintRequest,
)


def _request(**fields: Any) -> InpaintRequest:
    image = np.full((40, 48, 3), 90, np.uint8)
    mask = np.zeros((40, 48), np.uint8)
    mask[10:20, 10:20] = 255
    return InpaintRequest("a cat", image, mask).with_fields(**fields)


def test_silence_takes_the_defaults_where_the_checkpoint_is_silent_too(inpainter: Inpainter) -> None:
    settled = settle(_request(), inpainter.bundle, DEFAULT_LIMITS)
    assert settled.num_inference_steps == DEFAULT_NUM_INFERENCE_STEPS
    assert settled.guidance_scale == DEFAULT_GUIDANCE_SCALE
    assert settled.seed is not None


def test_the_checkpoints_advice_comes_before_the_defaults_and_after_the_request(inpainter: Inpainter) -> None:
    bundle = replace(inpainter.bundle, recommended=Recommended(12, 3.0, "Euler"))
    advised = settle(_request(), bundle, DEFAULT_LIMITS)
    assert (advised.num_inference_steps, advised.guidance_scale, advised.scheduler) == (12, 3.0, "Euler")
    asked = settle(_request(num_inference_steps=5, guidance_scale=0.0), bundle, DEFAULT_LIMITS)
    assert (asked.num_inference_steps, asked.guidance_scale) == (5, 0.0)


@pytest.mark.parametrize("advice", [Recommended(100_000), Recommended(None, 1e9)])
def test_a_checkpoints_advice_stands_under_the_same_limits(inpainter: Inpainter, advice: Recommended) -> None:
    bundle = replace(inpainter.bundle, recommended=advice)
    with pytest.raises(InvalidField, match="must be"):
        settle(_request(), bundle, DEFAULT_LIMITS)


def test_an_unknown_scheduler_is_an_error_before_any_picture_is_read(inpainter: Inpainter) -> None:
    with pytest.raises(InvalidField, match="scheduler"):
        settle(_request(image=b"no picture", scheduler="Eulr"), inpainter.bundle, DEFAULT_LIMITS)


def test_a_checkpoints_seam_comes_before_the_default_and_after_the_request(inpainter: Inpainter) -> None:
    bundle = replace(inpainter.bundle, recommended=Recommended(seam="harmonic"))
    assert settle(_request(), inpainter.bundle, DEFAULT_LIMITS).seam == DEFAULT_SEAM
    assert settle(_request(), bundle, DEFAULT_LIMITS).seam == "harmonic"
    assert settle(_request(seam="off"), bundle, DEFAULT_LIMITS).seam == "off"


def test_an_empty_prompt_removes_as_the_checkpoint_advises(inpainter: Inpainter) -> None:
    bundle = replace(inpainter.bundle, recommended=Recommended(removal="patchmatch"))

    def meant(prompt: str = " ", **fields: Any) -> tuple[object, ...]:
        request = settle(_request(prompt=prompt, **fields), bundle, DEFAULT_LIMITS)
        return request.strength, request.masked_content, request.seam

    assert meant() == (0, "patchmatch", "harmonic")
    assert meant(masked_content="fill") == (0, "fill", "harmonic")
    assert meant("a cat") == (1, "original", DEFAULT_SEAM)
    assert meant(strength=0.5) == (0.5, "original", DEFAULT_SEAM)
    assert meant(masked_content="noise") == (1, "noise", DEFAULT_SEAM)
    assert meant(reference=True) == (1, "original", "off")
    assert settle(_request(prompt=""), inpainter.bundle, DEFAULT_LIMITS).strength == 1


def test_a_checkpoint_may_say_which_words_ask_for_a_removal_too(inpainter: Inpainter) -> None:
    advice = Recommended(removal="patchmatch", removal_prompts=("background", "clean background"))
    bundle = replace(inpainter.bundle, recommended=advice)
    for prompt, strength in (("background", 0), (" Clean\nBackground. ", 0), ("a background", 1), ("a cat", 1)):
        assert settle(_request(prompt=prompt), bundle, DEFAULT_LIMITS).strength == strength
    weighed = _request(prompt="(background:1.2)")
    assert settle(weighed.with_fields(prompt_syntax="a1111"), bundle, DEFAULT_LIMITS).strength == 0
    assert settle(weighed, bundle, DEFAULT_LIMITS).strength == 1
    assert settle(_request(prompt="background", strength=1), bundle, DEFAULT_LIMITS).strength == 1
    silent = replace(bundle, recommended=replace(advice, removal=None))
    assert settle(_request(prompt="background"), silent, DEFAULT_LIMITS).strength == 1


def test_without_a_model_there_is_content_out_of_the_surroundings(inpainter: Inpainter) -> None:
    settled = settle(_request(strength=0), inpainter.bundle, DEFAULT_LIMITS)
    assert (settled.masked_content, settled.seam) == ("patchmatch", "harmonic")
    assert settle(_request(strength=0, seam="off"), inpainter.bundle, DEFAULT_LIMITS).seam == "off"
    for content in ("original", "noise", "zeros"):
        with pytest.raises(InvalidField, match="strength"):
            settle(_request(strength=0, masked_content=content), inpainter.bundle, DEFAULT_LIMITS)
    with pytest.raises(InvalidField, match=r"^strength: .* reference"):
        settle(_request(strength=0, reference=True), inpainter.bundle, DEFAULT_LIMITS)


@pytest.mark.parametrize("content", ["fill", "patchmatch"])
def test_the_hole_holds_its_surroundings_before_noise_is_added(inpainter: Inpainter, content: str) -> None:
    image = np.zeros((40, 48, 3), np.uint8)
    image[10:20, 10:20] = 255
    request = settle(_request(image=image, strength=0.5, masked_content=content), inpainter.bundle, DEFAULT_LIMITS)
    (plan,) = prepare(open_pictures(request, DEFAULT_LIMITS), inpainter.bundle, since=0.0).plans
    inside = plan.image[:, plan.mask[0] > 0.5]
    assert inside.max() < 0  # the canvas is scaled, and takes a little of what the mask hides along
    assert plan.masked_content == "original"


def test_colours_under_full_transparency_do_not_go_on(inpainter: Inpainter) -> None:
    image = np.zeros((60, 60, 4), np.uint8)
    image[..., :3] = (255, 0, 255)
    image[15:45, 15:45] = (90, 120, 60, 255)
    mask = np.zeros((60, 60), np.uint8)
    mask[10:30, 10:30] = 255
    for content in ("fill", "patchmatch"):
        result = inpainter("", image, mask, strength=0, masked_content=content, seam="off", safety="off")
        hole = result.fills[0].picture.pixels[mask > 0]
        assert np.abs(hole.astype(int) - (90, 120, 60)).max() <= 2


def test_a_deadline_ends_the_filling_of_a_hole(inpainter: Inpainter) -> None:
    request = settle(_request(strength=0, deadline_s=1e-9), inpainter.bundle, DEFAULT_LIMITS)
    with pytest.raises(DeadlineExceeded):
        prepare(open_pictures(request, DEFAULT_LIMITS), inpainter.bundle, since=0.0)


def test_the_reference_mode_never_corrects_the_seam(inpainter: Inpainter) -> None:
    bundle = replace(inpainter.bundle, recommended=Recommended(seam="harmonic"))
    assert settle(_request(reference=True), bundle, DEFAULT_LIMITS).seam == "off"
    assert settle(_request(reference=True, seam="off"), bundle, DEFAULT_LIMITS).seam == "off"
    with pytest.raises(InvalidField, match="seam"):
        settle(_request(reference=True, seam="rendered"), bundle, DEFAULT_LIMITS)


@pytest.mark.parametrize(
    "field", ["grow_px", "feather_px", "fill_holes", "match_colors", "prompt_syntax", "masked_content"]
)
def test_the_reference_mode_refuses_what_the_reference_cannot_do(inpainter: Inpainter, field: str) -> None:
    values = {"fill_holes": True, "match_colors": True, "prompt_syntax": "a1111", "masked_content": "fill"}
    value = values.get(field, 3)
    with pytest.raises(InvalidField, match=field):
        settle(_request(reference=True, **{field: value}), inpainter.bundle, DEFAULT_LIMITS)


def test_the_reference_mode_sees_the_picture_unscaled(inpainter: Inpainter) -> None:
    request = settle(_request(reference=True), inpainter.bundle, DEFAULT_LIMITS)
    prepared = prepare(open_pictures(request, DEFAULT_LIMITS), inpainter.bundle, since=0.0)
    assert prepared.place.region.scaled == prepared.place.region.box_size
    assert (prepared.plans[0].latent_mask, prepared.plans[0].reference) == ("nearest", True)


def test_the_reference_mode_refuses_pictures_beyond_the_models_reach(inpainter: Inpainter) -> None:
    mask = np.full((96, 96), 255, np.uint8)  # native is 32 pixels: four areas are 64 x 64
    asked = _request(reference=True, image=np.zeros((96, 96, 3), np.uint8), mask_image=mask)
    request = settle(asked, inpainter.bundle, DEFAULT_LIMITS)
    with pytest.raises(ImageTooLarge, match="reference"):
        prepare(open_pictures(request, DEFAULT_LIMITS), inpainter.bundle, since=0.0)


def test_transparency_is_the_mask_where_none_is_given(inpainter: Inpainter) -> None:
    image = np.full((40, 48, 4), 255, np.uint8)
    image[5:15, 5:15, 3] = 0
    request = settle(_request(image=image, mask_image=None), inpainter.bundle, DEFAULT_LIMITS)
    prepared = prepare(open_pictures(request, DEFAULT_LIMITS), inpainter.bundle, since=0.0)
    assert prepared.alpha_is_mask
    assert np.array_equal(prepared.mask.pixels, image[..., 3] == 0)


def test_colours_under_transparency_are_no_content_of_the_hole(inpainter: Inpainter) -> None:
    image = np.full((40, 48, 4), 255, np.uint8)
    image[5:15, 5:15, 3] = 0

    def content(**fields: Any) -> str:
        return settle(_request(image=image, **fields), inpainter.bundle, DEFAULT_LIMITS).masked_content

    assert content(mask_image=None, strength=0.5) == "fill"
    assert content(mask_image=None, masked_content="noise") == "noise"
    assert content(mask_image=None, mask_polarity="opaque") == "original"
    assert content(strength=0.5) == "original"


def test_what_lies_under_transparency_does_not_reach_the_result(inpainter: Inpainter) -> None:
    seen = np.random.default_rng(1).integers(0, 256, (40, 48, 4), dtype=np.uint8)
    seen[..., 3] = 255
    seen[8:24, 8:24, 3] = 0
    other = seen.copy()
    other[8:24, 8:24, :3] = 255 - seen[8:24, 8:24, :3]
    fields = {"mask_image": None, "strength": 0.5, "num_inference_steps": 2, "seed": 1, "safety": "off"}
    one, two = (inpainter.run(_request(image=image, **fields)).fills[0].picture for image in (seen, other))
    assert np.array_equal(one.pixels[8:24, 8:24], two.pixels[8:24, 8:24])


def test_neither_mask_nor_transparency_is_an_error_that_says_what_to_give(inpainter: Inpainter) -> None:
    request = settle(_request(mask_image=None), inpainter.bundle, DEFAULT_LIMITS)
    with pytest.raises(MaskError) as caught:
        prepare(open_pictures(request, DEFAULT_LIMITS), inpainter.bundle, since=0.0)
    assert "mask_image" in caught.value.hint


def test_a_deadline_counts_on_the_engines_clock(inpainter: Inpainter) -> None:
    request = settle(_request(deadline_s=2.5), inpainter.bundle, DEFAULT_LIMITS)
    assert (
        prepare(open_pictures(request, DEFAULT_LIMITS), inpainter.bundle, since=100.0).plans[0].deadline == 102.5
    )


def test_each_variant_has_its_own_plan_and_they_share_the_pictures(inpainter: Inpainter) -> None:
    request = settle(_request(seed=5, num_images_per_prompt=2), inpainter.bundle, DEFAULT_LIMITS)
    one, two = prepare(open_pictures(request, DEFAULT_LIMITS), inpainter.bundle, since=0.0).plans
    assert (one.seed, two.seed) == (5, 6)
    assert one.image is two.image


@pytest.mark.parametrize("field", ["prompt", "negative_prompt"])
def test_a_prompt_of_too_many_chunks_is_an_error_before_any_picture_is_read(
    inpainter: Inpainter, field: str
) -> None:
    words = "a " * 14 * DEFAULT_LIMITS.prompt_chunks  # as many as the tiny text encoder takes in so many chunks
    fits = _request(image=b"no picture", prompt_syntax="a1111", **{field: words})
    settle(fits, inpainter.bundle, DEFAULT_LIMITS)
    with pytest.raises(InvalidField, match=rf"{field}: takes 9 chunks of 14 tokens, at most 8"):
        settle(fits.with_fields(**{field: words + "a"}), inpainter.bundle, DEFAULT_LIMITS)
    with pytest.raises(InvalidField, match="takes 300 chunks"):
        settle(fits.with_fields(**{field: "BREAK " * 300}), inpainter.bundle, DEFAULT_LIMITS)
    settle(fits.with_fields(**{field: words * 2}, prompt_syntax="plain"), inpainter.bundle, DEFAULT_LIMITS)


def test_no_more_layers_are_left_out_than_there_are(inpainter: Inpainter) -> None:
    with pytest.raises(InvalidField, match="clip_skip: is 1, the text encoder has 1 layers"):
        settle(_request(clip_skip=1), inpainter.bundle, DEFAULT_LIMITS)


def test_plans_carry_how_their_prompts_are_read(inpainter: Inpainter) -> None:
    request = settle(_request(prompt_syntax="a1111"), inpainter.bundle, DEFAULT_LIMITS)
    assert (
        prepare(open_pictures(request, DEFAULT_LIMITS), inpainter.bundle, since=0.0).plans[0].prompt_syntax
        == "a1111"
    )


def _strip(**fields: Any) -> InpaintRequest:
    image = np.full((40, 48, 3), 90, np.uint8)
    mask = np.zeros((40, 48), np.uint8)
    mask[16:24, 4:44] = 255
    image[mask > 0] = 200
    return InpaintRequest("a cat", image, mask).with_fields(**fields)


_PAINTS_THINGS = Recommended(context=0.2, removal="patchmatch")


def test_a_model_of_things_is_given_the_place_with_most_room_on_the_ground_around(inpainter: Inpainter) -> None:
    bundle = replace(inpainter.bundle, recommended=_PAINTS_THINGS)
    request = settle(_strip(), bundle, DEFAULT_LIMITS)
    prepared = prepare(open_pictures(request, DEFAULT_LIMITS), bundle, since=0.0)
    assert bounding_box(prepared.place.hole) == (20, 16, 28, 24)
    assert prepared.place.region.box_size[0] < 20
    assert (prepared.place.picture.pixels == 90).all()  # what the mask hid is gone
    assert prepared.mask_report.box == (4, 16, 44, 24)
    assert prepared.is_hole_hidden
    assert any("with most room" in warning for warning in prepared.warnings)


@pytest.mark.parametrize(
    ("advice", "fields"),
    [
        (Recommended(context=0.2), {}),
        (Recommended(removal="patchmatch"), {}),
        (_PAINTS_THINGS, {"region": "masked"}),
        (_PAINTS_THINGS, {"region": "whole"}),
        (_PAINTS_THINGS, {"padding_px": 8}),
        (_PAINTS_THINGS, {"strength": 0.7}),
        (_PAINTS_THINGS, {"reference": True}),
        (_PAINTS_THINGS, {"prompt": ""}),
    ],
)
def test_else_the_whole_hole_is_painted(inpainter: Inpainter, advice: Recommended, fields: dict[str, Any]) -> None:
    bundle = replace(inpainter.bundle, recommended=advice)
    request = settle(_strip(**fields), bundle, DEFAULT_LIMITS)
    prepared = prepare(open_pictures(request, DEFAULT_LIMITS), bundle, since=0.0)
    assert prepared.place.hole is prepared.mask.pixels
    assert prepared.place.picture is prepared.picture


@pytest.mark.parametrize("hidden", ["by the mask", "by transparency"])
def test_where_hardly_anything_is_seen_the_whole_hole_is_painted(inpainter: Inpainter, hidden: str) -> None:
    bundle = replace(inpainter.bundle, recommended=_PAINTS_THINGS)
    image, mask = np.full((60, 120, 4), 255, np.uint8), np.full((60, 120), 255, np.uint8)
    if hidden == "by transparency":
        mask[:, :40] = 0
        image[:, :39, 3] = 0
    request = settle(InpaintRequest("a cat", image, mask, seed=1), bundle, DEFAULT_LIMITS)
    prepared = prepare(open_pictures(request, DEFAULT_LIMITS), bundle, since=0.0)
    assert prepared.place.hole is prepared.mask.pixels


def test_a_deadline_ends_the_filling_around_a_thing(inpainter: Inpainter) -> None:
    bundle = replace(inpainter.bundle, recommended=_PAINTS_THINGS)
    request = settle(_strip(deadline_s=1e-9), bundle, DEFAULT_LIMITS)
    with pytest.raises(DeadlineExceeded):
        prepare(open_pictures(request, DEFAULT_LIMITS), bundle, since=0.0)
