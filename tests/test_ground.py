"""A hole filled out of what surrounds it, as a bed for what is painted into a part of it."""

import numpy as np
import pytest

from retouch.errors import DeadlineExceeded
from retouch.ground import continue_ground
from retouch.imaging.choices import Continuation
from retouch.imaging.morphology import Mask
from retouch.imaging.picture import Picture, Samples


def _stripes(dtype: type[np.unsignedinteger], *, grey: bool) -> Samples:
    peak = np.iinfo(dtype).max
    line = np.where(np.arange(60) // 5 % 2, peak // 4, peak // 2).astype(dtype)
    plane = np.broadcast_to(line, (48, 60))
    return plane.copy() if grey else np.stack([plane, plane // 2, plane], axis=2)


@pytest.fixture
def strip() -> Mask:
    mask = np.zeros((48, 60), np.bool_)
    mask[20:28, 5:55] = True
    return mask


def _never() -> None:
    pass


@pytest.mark.parametrize("how", ["patchmatch", "fill"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("grey", [False, True])
def test_it_is_the_picture_at_its_own_depth_but_for_the_hole(
    strip: Mask, how: Continuation, dtype: type[np.unsignedinteger], *, grey: bool
) -> None:
    pixels = _stripes(dtype, grey=grey)
    hidden = pixels.copy()
    hidden[strip] = 0
    filled = continue_ground(
        Picture(hidden), strip, how, seam="harmonic", alpha_is_mask=False, check=_never
    ).pixels
    assert filled.dtype == dtype
    assert filled.shape == pixels.shape
    assert np.array_equal(filled[~strip], pixels[~strip])
    differs = np.median(np.abs(filled[strip].astype(float) - pixels[strip])) / np.iinfo(dtype).max
    assert differs < (0.01 if how == "patchmatch" else 0.2)


def test_nothing_that_the_mask_hides_is_looked_at(strip: Mask) -> None:
    pixels = _stripes(np.uint8, grey=False)
    other = pixels.copy()
    other[strip] = 255
    one, two = (
        continue_ground(Picture(each), strip, "patchmatch", seam="harmonic", alpha_is_mask=False, check=_never)
        for each in (pixels, other)
    )
    assert np.array_equal(one.pixels, two.pixels)


@pytest.mark.parametrize("alpha_is_mask", [True, False])
def test_transparency_that_was_the_mask_becomes_opaque(strip: Mask, *, alpha_is_mask: bool) -> None:
    alpha = np.where(strip, 0, 255).astype(np.uint8)
    picture = Picture(_stripes(np.uint8, grey=False), alpha=alpha)
    filled = continue_ground(
        picture, strip, "patchmatch", seam="harmonic", alpha_is_mask=alpha_is_mask, check=_never
    )
    assert filled.alpha is not None
    assert (filled.alpha[strip] == (255 if alpha_is_mask else 0)).all()


def test_who_checks_can_end_it(strip: Mask) -> None:
    def late() -> None:
        raise DeadlineExceeded("too late")

    with pytest.raises(DeadlineExceeded):
        continue_ground(
            Picture(_stripes(np.uint8, grey=False)),
            strip,
            "patchmatch",
            seam="harmonic",
            alpha_is_mask=False,
            check=late,
        )
