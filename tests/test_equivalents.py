"""An argument of another tool is answered with what it is called here."""

import inspect
import time

import diffusers
import pytest

from retouch.equivalents import EQUIVALENTS, equivalent, fields_for
from retouch.errors import InvalidField
from retouch.request import InpaintRequest

KNOWN = tuple(InpaintRequest.__dataclass_fields__)
CALL = tuple(inspect.signature(diffusers.StableDiffusionInpaintPipeline.__call__).parameters)
UNKNOWN = [name for name in CALL if name not in (*KNOWN, "self", "kwargs")]


@pytest.mark.parametrize("name", UNKNOWN)
def test_every_argument_of_the_pipeline_has_an_answer(name: str) -> None:
    with pytest.raises(InvalidField, match=name) as error:
        InpaintRequest(prompt="", image=b"").with_fields(**{name: 1})
    answer, _, known = error.value.hint.partition("; known: ")
    assert answer == equivalent(name, KNOWN) != ""
    assert known


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("generator", "use seed"),
        ("padding_mask_crop", "use region and padding_px"),
        ("height", "height is not offered: the result has the size of the picture, so scale that"),
        ("steps", "use num_inference_steps"),
        ("mask", "use mask_image"),
        ("guidance", "use guidance_scale"),
        ("num_inference_step", "use num_inference_steps"),
        ("frobnicate", ""),
    ],
)
def test_the_answer_is_a_field_or_a_reason(name: str, answer: str) -> None:
    assert equivalent(name, KNOWN) == answer


def test_every_field_of_an_answer_exists() -> None:
    assert {field for name in EQUIVALENTS for field in fields_for(name)} <= set(KNOWN)
    assert not EQUIVALENTS.keys() & set(KNOWN)


def test_a_name_of_megabytes_is_compared_with_nothing() -> None:
    begun = time.process_time()
    assert equivalent("num_inference_ste" * 500_000, KNOWN) == ""
    assert time.process_time() - begun < 0.5
