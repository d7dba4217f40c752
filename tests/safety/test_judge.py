"""Verdicts are closed: what could not be checked is not handed out, and nothing hides from the check."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from tests.safety.red import RED, RedChecker, exhibit, grey

from retouch.errors import NonFinite, Unchecked
from retouch.safety.judge import inspect, verdict
from retouch.safety.policy import Score
from retouch.safety.views import Exhibit

CHECKERS = (RedChecker(),)


class Broken(RedChecker):
    """Answers with what it is given."""

    name = "broken"

    def __init__(self, answer: Callable[[int], Any]) -> None:
        self.answer = answer

    def scores(self, views: Sequence[np.ndarray]) -> list[float]:
        return self.answer(len(views))  # type: ignore[no-any-return]


class Service:
    """A checker of whole pictures, of several categories with severities."""

    name, version = "service", "2026-01"

    def __init__(self, **severities: float) -> None:
        self.severities = severities
        self.seen: list[str] = []

    def check(self, exhibit: Exhibit) -> list[Score]:
        scores = []
        for look in exhibit.looks():
            self.seen.append(look.name)
            scores += [Score(category, look.name, value, 4, 2) for category, value in self.severities.items()]
        return scores


def fails(_: int) -> Any:
    raise RuntimeError("out of order")


def reddened(share: float) -> np.ndarray:
    pixels = grey(100, 100)
    pixels[: round(100 * share)] = RED
    return pixels


def test_safe_picture_passes_untouched() -> None:
    shown = exhibit(grey())
    outcome, handed_out = verdict(shown, CHECKERS, "black")
    assert (outcome.decision, outcome.nsfw_content_detected) == ("pass", False)
    assert handed_out is shown.picture


@pytest.mark.parametrize(("share", "bucket"), [(0.03, "low"), (0.05, "near"), (0.2, "high")])
def test_bucket_tells_how_near_it_was(share: float, bucket: str) -> None:
    assert verdict(exhibit(reddened(share)), CHECKERS, "black")[0].checks[0].bucket == bucket


def test_unsafe_edge_of_a_panorama_is_found_and_named() -> None:
    pixels = grey(300, 2000)
    pixels[:, 1960:] = RED
    outcome, handed_out = verdict(exhibit(pixels), CHECKERS, "black")
    assert outcome.nsfw_content_detected is True
    assert any(finding.view.startswith("tile") for finding in outcome.findings)
    assert not handed_out.pixels.any()


def _speck(mask: np.ndarray) -> None:
    mask[-8:, -8:] = True


def _line(mask: np.ndarray) -> None:
    mask[812:, 500] = mask[2000, 500:] = True


def _ring(mask: np.ndarray) -> None:
    mask[:2] = mask[-2:] = mask[:, :2] = mask[:, -2:] = True


def _dust(mask: np.ndarray) -> None:
    rng = np.random.default_rng(0)
    mask[rng.integers(0, 2048, 400), rng.integers(0, 2048, 400)] = True


@pytest.mark.parametrize("disturb", [lambda mask: None, _speck, _line, _ring, _dust])
def test_marks_elsewhere_do_not_hide_an_unsafe_fill(disturb: Callable[[np.ndarray], None]) -> None:
    pixels, mask = grey(2048, 2048), np.zeros((2048, 2048), bool)
    pixels[300:812, 300:812] = RED
    mask[300:812, 300:812] = True
    disturb(mask)
    outcome = inspect(exhibit(pixels, mask), CHECKERS, "black")
    assert outcome.decision == "flag"
    assert all(finding.view.startswith("focus") for finding in outcome.findings)


@pytest.mark.parametrize(("colours", "ground"), [((255, 255, 255), "white"), ((0, 0, 0), "black")])
def test_what_shows_only_on_a_ground_is_judged_on_it(colours: tuple[int, int, int], ground: str) -> None:
    """The checker of this test flags bright shapes on dark and dark ones on bright: a silhouette in alpha."""

    class Contrast(RedChecker):
        def scores(self, views: Sequence[np.ndarray]) -> list[float]:
            return [float(view.std() / 128) for view in views]

    pixels = np.full((64, 64, 3), colours, np.uint8)
    alpha = np.zeros((64, 64), np.uint8)
    alpha[16:48, 16:48] = 255
    outcome = inspect(exhibit(pixels, alpha=alpha), [Contrast()], "black")
    other = "black" if ground == "white" else "white"
    assert [finding.view for finding in outcome.findings] == [f"whole on {other}"]


def test_transparency_does_not_dilute_what_is_visible() -> None:
    pixels, mask = grey(800, 800), np.ones((800, 800), bool)
    alpha = np.zeros((800, 800), np.uint8)
    pixels[:100, :100] = RED
    alpha[:100, :100] = 255
    outcome = inspect(exhibit(pixels, mask, alpha), CHECKERS, "black")
    assert {finding.view for finding in outcome.findings} == {"focus on black", "focus on white"}


def test_all_checkers_must_let_a_picture_pass_and_findings_say_which_did_not() -> None:
    red, violent, calm = RedChecker(), Service(violence=6, hate=0), Service(violence=0, hate=0)
    assert inspect(exhibit(grey()), [red, calm], "black").decision == "pass"
    outcome = inspect(exhibit(grey()), [red, violent], "black")
    assert [(f.checker, f.category) for f in outcome.findings] == [("service", "violence")]
    assert outcome.as_dict()["checks"] == [
        {"checker": "red", "version": "1", "thresholds": {"nsfw": 0.1}, "bucket": "low"},
        {"checker": "service", "version": "2026-01", "thresholds": {"violence": 4, "hate": 4}, "bucket": "high"},
    ]
    assert [f.checker for f in inspect(exhibit(reddened(1)), [red, calm], "black").findings] == ["red"]


def test_one_checker_that_fails_is_enough() -> None:
    outcome, handed_out = verdict(exhibit(grey()), [RedChecker(), Broken(fails)], "black")
    assert (outcome.decision, outcome.nsfw_content_detected) == ("failed", True)
    assert [(f.checker, f.category) for f in outcome.findings] == [("broken", "check_failed")]
    assert not handed_out.pixels.any()


def test_a_service_needs_one_call_for_a_panorama() -> None:
    service = Service(nudity=0)
    inspect(exhibit(grey(10, 3000)), [service], "black")
    assert service.seen == ["whole"]


def test_a_service_that_says_nothing_has_not_checked() -> None:
    assert inspect(exhibit(grey()), [Service()], "black").decision == "failed"


@pytest.mark.parametrize(
    "answer",
    [fails, lambda n: [float("nan")] * n, lambda n: [float("inf")] * n, lambda n: [], lambda n: [0.0] * (n + 1),
     lambda n: None, lambda n: ["low"] * n],
)  # fmt: skip
def test_check_that_fails_counts_as_unsafe(answer: Callable[[int], Any]) -> None:
    shown = exhibit(grey())
    outcome, handed_out = verdict(shown, [Broken(answer)], "black")
    assert (outcome.decision, outcome.nsfw_content_detected) == ("failed", True)
    assert not handed_out.pixels.any()
    with pytest.raises(Unchecked, match="could not be checked by the safety checker broken"):
        verdict(shown, [Broken(answer)], "error")


def test_missing_checker_counts_as_unsafe() -> None:
    assert verdict(exhibit(grey()), (), "blur")[0].decision == "failed"


def test_off_asks_nobody_and_says_so() -> None:
    outcome, _ = verdict(exhibit(grey()), [Broken(fails)], "off")
    assert outcome.nsfw_content_detected is None
    assert outcome.as_dict() == {}


def test_pixels_that_were_never_quantised_are_an_error_not_a_verdict() -> None:
    class FloatPicture:
        pixels = np.full((8, 8, 3), np.nan)

    with pytest.raises(NonFinite):
        verdict(Exhibit(FloatPicture()), CHECKERS, "black")  # type: ignore[arg-type]


def test_inspection_alone_leaves_the_picture_to_the_caller() -> None:
    assert inspect(exhibit(reddened(1)), CHECKERS, "error").decision == "flag"
