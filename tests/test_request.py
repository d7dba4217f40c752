"""Every field of a request has a range, and a message that names it."""

import math
from typing import Any

import numpy as np
import pytest

from retouch.errors import InvalidField
from retouch.request import MAX_SEED, InpaintRequest, Limits, seeds_of, validate


def _request(**fields: Any) -> InpaintRequest:
    return InpaintRequest(prompt="a red apple", image=b"").with_fields(**fields)


def test_the_defaults_are_valid() -> None:
    validate(_request())


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("prompt", 7),
        ("prompt", "x" * 2001),
        ("prompt", "a caf\udce9"),
        ("negative_prompt", None),
        ("num_inference_steps", 0),
        ("num_inference_steps", 151),
        ("num_inference_steps", 2.5),
        ("num_inference_steps", True),
        ("guidance_scale", -0.1),
        ("guidance_scale", 31),
        ("guidance_scale", math.nan),
        ("guidance_scale", "7"),
        ("strength", -0.01),
        ("strength", 1.01),
        ("strength", math.inf),
        ("strength", 10**400),
        ("deadline_s", 10**400),
        ("seed", np.float64(3)),
        ("num_inference_steps", np.int64(0)),
        ("reference", np.int64(1)),
        ("seed", -1),
        ("seed", MAX_SEED + 1),
        ("num_images_per_prompt", 0),
        ("num_images_per_prompt", 17),
        ("mask_threshold", 0.0),
        ("grow_px", -1),
        ("feather_px", -1),
        ("padding_px", -1),
        ("deadline_s", 0.0),
        ("mask_polarity", "gray"),
        ("region", "crop"),
        ("latent_mask", "bilinear"),
        ("masked_content", "telea"),
        ("seam", "blend"),
        ("safety", "none"),
        ("reference", 1),
        ("fill_holes", "yes"),
        ("scheduler", 3),
        ("prompt_syntax", "compel"),
        ("prompt_syntax", ["a1111"]),
        ("clip_skip", -1),
        ("clip_skip", 101),
        ("clip_skip", None),
    ],
)
def test_a_value_outside_its_range_is_refused_by_name(field: str, value: object) -> None:
    with pytest.raises(InvalidField, match=f"^{field}: "):
        validate(_request(**{field: value}))


@pytest.mark.parametrize("field", ["seed", "guidance_scale"])
def test_a_number_that_python_does_not_write_out_is_refused_by_name(field: str) -> None:
    with pytest.raises(InvalidField, match=f"^{field}: .* of 16610 bits"):
        validate(_request(**{field: 10**5000}))


@pytest.mark.parametrize(
    ("field", "value"),
    [("strength", 1), ("strength", 0), ("seed", 0), ("seed", MAX_SEED), ("guidance_scale", 0), ("prompt", "")],
)
def test_the_ends_of_a_range_are_allowed(field: str, value: object) -> None:
    validate(_request(**{field: value}))


@pytest.mark.parametrize(
    ("field", "value"),
    [("seed", np.int64(3)), ("grow_px", np.uint8(2)), ("strength", np.float32(0.5)), ("fill_holes", np.True_)],
)
def test_a_scalar_of_numpy_is_the_value_it_holds(field: str, value: Any) -> None:
    request = _request(**{field: value})
    validate(request)
    assert getattr(request, field) == value
    assert type(getattr(request, field)) in (int, float, bool)


def test_limits_are_the_deployers_choice() -> None:
    validate(_request(num_inference_steps=400), Limits(num_inference_steps=500))
    with pytest.raises(InvalidField, match="at most 10 are allowed"):
        validate(_request(prompt="x" * 11), Limits(prompt_chars=10))


def test_an_unknown_field_is_an_error_that_lists_the_known_ones() -> None:
    with pytest.raises(InvalidField, match="steps: is not a field") as caught:
        _request(steps=20)
    assert "num_inference_steps" in caught.value.hint


def test_variants_take_consecutive_seeds_and_wrap() -> None:
    assert seeds_of(7, 3) == (7, 8, 9)
    assert seeds_of(MAX_SEED, 2) == (MAX_SEED, 0)


@pytest.mark.parametrize("field", ["prompt", "negative_prompt"])
def test_a_prompt_that_its_syntax_cannot_read_is_refused_by_name(field: str) -> None:
    validate(_request(**{field: "[a:b:0.5]"}))
    with pytest.raises(InvalidField, match=f"^{field}: "):
        validate(_request(**{field: "[a:b:0.5]"}, prompt_syntax="a1111"))
