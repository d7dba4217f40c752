"""What is opened is what can be looked at: the mask as it came in, and nothing where there was none."""

import numpy as np

from retouch.opened import open_pictures
from retouch.request import DEFAULT_LIMITS, InpaintRequest

IMAGE = np.full((20, 30, 4), 255, np.uint8)
IMAGE[5:10, 5:10, 3] = 0


def test_a_mask_of_its_own_is_kept_as_it_came_in() -> None:
    mask = np.zeros((20, 30, 3), np.uint8)
    mask[3:6, 3:6] = (255, 200, 130)
    opened = open_pictures(InpaintRequest("a cat", IMAGE, mask), DEFAULT_LIMITS)
    assert opened.mask_picture is not None
    assert np.array_equal(opened.mask_picture.pixels, mask)
    assert np.count_nonzero(opened.mask.pixels) == 9


def test_a_picture_that_is_its_own_mask_has_no_other() -> None:
    opened = open_pictures(InpaintRequest("a cat", IMAGE), DEFAULT_LIMITS)
    assert opened.mask_picture is None
    assert np.count_nonzero(opened.mask.pixels) == 25
