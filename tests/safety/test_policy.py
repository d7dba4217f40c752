"""What a refused picture turns into, and what a verdict tells."""

import numpy as np
import pytest

from retouch.errors import Blocked
from retouch.imaging.picture import Picture
from retouch.safety.policy import Check, Decision, Score, Verdict, blackened, blurred, enforce

RNG = np.random.default_rng(0)


def picture(height: int = 37, width: int = 53, *, deep: bool = False, grey: bool = False) -> Picture:
    shape = (height, width) if grey else (height, width, 3)
    dtype, peak = (np.uint16, 65535) if deep else (np.uint8, 255)
    pixels = RNG.integers(0, peak + 1, shape).astype(dtype)
    alpha = RNG.integers(0, peak + 1, shape[:2]).astype(dtype)
    return Picture(pixels, alpha=alpha, icc=b"profile", exif=b"exif", source_mode="RGBA")


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("grey", [False, True])
def test_stand_ins_keep_size_depth_and_channels_and_show_no_silhouette(deep: bool, grey: bool) -> None:
    original = picture(deep=deep, grey=grey)
    for stand_in in (blackened(original), blurred(original)):
        assert stand_in.pixels.shape == original.pixels.shape
        assert stand_in.pixels.dtype == original.pixels.dtype
        assert stand_in.alpha is not None
        assert (stand_in.alpha == original.peak).all()
        assert stand_in.exif is None
        assert stand_in.icc == original.icc


def test_black_is_entirely_black() -> None:
    assert not blackened(picture()).pixels.any()


def test_blur_keeps_nothing_finer_than_its_grid() -> None:
    """Pictures with equal means in every cell of the grid give the same blur."""
    cells = RNG.integers(20, 235, (8, 8, 3))
    flat = np.kron(cells, np.ones((16, 16, 1))).astype(np.uint8)
    detail = np.where((np.indices((128, 128)).sum(0) % 2)[..., None] == 0, 20, -20)
    busy = (flat + detail).astype(np.uint8)
    assert (blurred(Picture(flat)).pixels == blurred(Picture(busy)).pixels).all()


def test_blur_keeps_the_colours_of_the_whole() -> None:
    original = picture(200, 300)
    assert np.allclose(blurred(original).pixels.mean((0, 1)), original.pixels.mean((0, 1)), atol=3)


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (3, 2), (8, 9)])
def test_blur_takes_any_size(size: tuple[int, int]) -> None:
    assert blurred(picture(*size)).pixels.shape[:2] == size


@pytest.mark.parametrize(("decision", "flag"), [("pass", False), ("flag", True), ("failed", True), ("off", None)])
def test_flag_is_none_where_nothing_was_checked_and_true_where_the_check_failed(
    decision: Decision, flag: bool | None
) -> None:
    assert Verdict(decision, "black").nsfw_content_detected is flag


def test_passed_pictures_are_handed_out_untouched() -> None:
    original = picture()
    assert enforce(original, Verdict("pass", "black")) is original
    assert enforce(original, Verdict("off", "off")) is original


@pytest.mark.parametrize("decision", ["flag", "failed"])
def test_refused_pictures_are_never_handed_out(decision: Decision) -> None:
    original = picture()
    assert not enforce(original, Verdict(decision, "black")).pixels.any()
    assert (enforce(original, Verdict(decision, "blur")).pixels != original.pixels).any()
    with pytest.raises(Blocked):
        enforce(original, Verdict(decision, "error"))


def test_raw_scores_are_not_told() -> None:
    check = Check("c", "1", (Score("nsfw", "whole", 0.8765, threshold=0.5, near=0.2),))
    told = Verdict("flag", "black", (check,), check.findings()).as_dict()
    assert "0.8765" not in str(told)
    assert told["checks"] == [{"checker": "c", "version": "1", "thresholds": {"nsfw": 0.5}, "bucket": "high"}]
    assert told["findings"] == [{"checker": "c", "category": "nsfw", "view": "whole", "bucket": "high"}]
    assert Verdict("off", "off").as_dict() == {}
