"""A client can learn what the model advises and knows, and what the server allows."""

from dataclasses import replace
from typing import Any

import httpx
from tests.serve.serving import Served

from retouch.models.bundle import Recommended
from retouch.request import DEFAULT_GUIDANCE_SCALE, DEFAULT_NUM_INFERENCE_STEPS
from retouch.serve.about import about_model


def test_the_route_tells_limits_and_policy_and_no_path_of_the_machine(tiny: Served) -> None:
    answer = httpx.get(f"{tiny.url}/v1/about")
    told = answer.json()
    assert told["limits"]["num_images_per_prompt"] == tiny.service.limits.num_images_per_prompt
    assert told["limits"]["body_bytes"] == tiny.service.settings.body_bytes
    assert told["safety"] == {"policy": "off", "may_be_off": True}
    assert "DPM++ 2M" in told["schedulers"]
    assert told["model"]["name"] == "tiny"
    assert str(tiny.service.model.path) not in answer.text


def told_of(tiny: Served, **changes: Any) -> dict[str, Any]:
    return about_model(replace(tiny.service.model, **changes))


def test_a_checkpoint_without_advice_gets_the_defaults_of_a_request(tiny: Served) -> None:
    advice = told_of(tiny, recommended=Recommended())["advice"]
    assert advice["num_inference_steps"] == DEFAULT_NUM_INFERENCE_STEPS
    assert advice["guidance_scale"] == DEFAULT_GUIDANCE_SCALE
    assert advice["scheduler"] == tiny.service.model.scheduler_class
    assert advice["removal"] is None


def test_the_makers_advice_is_told_even_where_it_is_zero(tiny: Served) -> None:
    advice = told_of(tiny, recommended=Recommended(num_inference_steps=5, guidance_scale=0.0))["advice"]
    assert (advice["num_inference_steps"], advice["guidance_scale"]) == (5, 0.0)
    removal = Recommended(removal="patchmatch", removal_prompts=("background",))
    advice = told_of(tiny, recommended=removal)["advice"]
    assert (advice["removal"], advice["removal_prompts"]) == ("patchmatch", ["background"])


def test_words_are_told_of_small_models_alone(tiny: Served) -> None:
    assert told_of(tiny, vocabulary=None)["words"] is None
    words = told_of(tiny, vocabulary=frozenset({"a", "red", "apple", "teddy", "bear", "palm"}))["words"]
    assert words["things"] == ["teddy bear", "apple"]
    assert words["colours"] == ["red"]
    assert "palm" in words["known"]
