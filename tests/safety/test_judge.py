"""Verdicts are closed: what could not be checked is not handed out."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from retouch.errors import Blocked, NonFinite
from retouch.imaging.picture import Picture
from retouch.safety.judge import inspect, verdict


class RedChecker:
    """Scores a view by its reddest pixel, so that a test can place something unsafe."""

    name, version, threshold, near = "red", "1", 0.5, 0.2

    def scores(self, views: Sequence[np.ndarray]) -> list[float]:
        return [float(((view[..., 0].astype(int) - view[..., 1]) / 255).max()) for view in views]


class Broken(RedChecker):
    """Answers with what it is given."""

    def __init__(self, answer: Callable[[int], Any]) -> None:
        self.answer = answer

    def scores(self, views: Sequence[np.ndarray]) -> list[float]:
        return self.answer(len(views))  # type: ignore[no-any-return]


def fails(_: int) -> Any:
    raise RuntimeError("out of order")


def grey(height: int = 64, width: int = 64) -> np.ndarray:
    return np.full((height, width, 3), 90, np.uint8)


def test_safe_picture_passes_untouched() -> None:
    picture = Picture(grey())
    outcome, handed_out = verdict(picture, RedChecker(), "black")
    assert (outcome.decision, outcome.nsfw_content_detected, outcome.bucket) == ("pass", False, "low")
    assert handed_out is picture


@pytest.mark.parametrize(("red", "bucket"), [(130, "low"), (150, "near"), (255, "high")])
def test_bucket_tells_how_near_it_was(red: int, bucket: str) -> None:
    pixels = grey()
    pixels[..., 0] = red
    assert verdict(Picture(pixels), RedChecker(), "black")[0].bucket == bucket


def test_unsafe_edge_of_a_panorama_is_found_and_named() -> None:
    pixels = grey(300, 2000)
    pixels[100:110, 1990:] = (255, 0, 0)
    outcome, handed_out = verdict(Picture(pixels), RedChecker(), "black")
    assert outcome.nsfw_content_detected is True
    assert any(finding.view.startswith("tile") for finding in outcome.findings)
    assert not handed_out.pixels.any()


@pytest.mark.parametrize(
    "answer",
    [fails, lambda n: [float("nan")] * n, lambda n: [float("inf")] * n, lambda n: [], lambda n: [0.0] * (n + 1),
     lambda n: None, lambda n: ["low"] * n],
)  # fmt: skip
def test_check_that_fails_counts_as_unsafe(answer: Callable[[int], Any]) -> None:
    picture = Picture(grey())
    outcome, handed_out = verdict(picture, Broken(answer), "black")
    assert (outcome.decision, outcome.nsfw_content_detected) == ("failed", True)
    assert not handed_out.pixels.any()
    with pytest.raises(Blocked, match="could not be checked"):
        verdict(picture, Broken(answer), "error")


def test_missing_checker_counts_as_unsafe() -> None:
    assert verdict(Picture(grey()), None, "blur")[0].decision == "failed"


def test_off_asks_nobody_and_says_so() -> None:
    outcome, _ = verdict(Picture(grey()), Broken(fails), "off")
    assert outcome.nsfw_content_detected is None
    assert outcome.as_dict() == {}


def test_pixels_that_were_never_quantised_are_an_error_not_a_verdict() -> None:
    class FloatPicture:
        pixels = np.full((8, 8, 3), np.nan)

    with pytest.raises(NonFinite):
        verdict(FloatPicture(), RedChecker(), "black")  # type: ignore[arg-type]


def test_inspection_alone_leaves_the_picture_to_the_caller() -> None:
    pixels = grey()
    pixels[0, 0] = (255, 0, 0)
    assert inspect(Picture(pixels), RedChecker(), "error").decision == "flag"
