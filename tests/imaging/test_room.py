"""Where in a hole a whole thing has room."""

import numpy as np
import pytest

from retouch.imaging.morphology import Box, Mask, bounding_box
from retouch.imaging.room import roomiest


def _box(left: int, top: int, right: int, bottom: int) -> Mask:
    mask = np.zeros((120, 160), np.bool_)
    mask[top:bottom, left:right] = True
    return mask


def _where(mask: Mask) -> Box:
    part = roomiest(mask)
    assert part is not None
    assert not (part & ~mask).any()
    box = bounding_box(part)
    assert box is not None
    return box


def _disc(y: float, x: float, radius: float) -> Mask:
    rows, columns = np.mgrid[:120, :160]
    return np.asarray((rows - y) ** 2 + (columns - x) ** 2 <= radius * radius)


@pytest.mark.parametrize(
    "mask",
    [
        _box(10, 10, 50, 50),
        _box(10, 10, 50, 44),
        _disc(60, 80, 30),
        np.ones((90, 100), np.bool_),
        *(_box(7, 7, 7 + side, 7 + side) for side in range(1, 13)),
        *(_disc(60, 80, radius) for radius in range(1, 6)),
    ],
)
def test_a_hole_about_as_high_as_wide_is_such_a_place_as_a_whole(mask: Mask) -> None:
    assert roomiest(mask) is None


@pytest.mark.parametrize(
    ("strip", "middle"), [(_box(10, 40, 150, 61), (80, 50)), (_box(100, 0, 121, 120), (110, 60))]
)
def test_in_a_strip_it_is_the_middle_as_wide_as_the_strip(strip: Mask, middle: tuple[int, int]) -> None:
    left, top, right, bottom = _where(strip)
    assert abs((right - left) - (bottom - top)) <= 1
    assert 21 <= right - left <= 22
    assert abs((left + right) / 2 - middle[0]) <= 1
    assert abs((top + bottom) / 2 - middle[1]) <= 1


def test_gaps_that_a_brush_leaves_take_no_room() -> None:
    mask = _box(10, 10, 110, 110)
    mask[60, 60] = mask[30:32, 80] = mask[10:110, 47] = False
    assert roomiest(mask) is None


@pytest.mark.parametrize("width", [1, 2, 6])
def test_in_a_line_nothing_has_room(width: int) -> None:
    assert roomiest(_box(10, 40, 150, 40 + width)) is None


def test_in_a_triangle_it_is_the_broad_part() -> None:
    rows, columns = np.mgrid[:120, :160]
    mask = (rows >= 10) & (rows < 110) & (abs(columns - 80) <= (rows - 10) / 2)
    left, _, right, bottom = _where(mask)
    assert abs((left + right) / 2 - 80) <= 2
    assert bottom >= 108
    assert 58 <= right - left <= 66


def test_of_a_hole_with_a_tail_it_is_the_body() -> None:
    body, tail = _disc(60, 40, 25), _box(40, 58, 155, 62)
    left, top, right, bottom = _where(body | tail)
    assert abs((left + right) / 2 - 40) <= 3
    assert abs((top + bottom) / 2 - 60) <= 2
    assert 48 <= right - left <= 54


def test_corners_of_the_square_that_are_not_marked_stay_so() -> None:
    mask = _disc(30, 30, 20) | _box(28, 100, 150, 108)
    part = roomiest(mask)
    assert part is not None
    assert not part[12, 12]


def test_the_places_of_a_large_picture_are_found_at_a_smaller_size() -> None:
    mask = np.zeros((3000, 4000), np.bool_)
    mask[1000:1400, 200:3800] = True
    left, top, right, bottom = _where(mask)
    assert (top, bottom) == pytest.approx((1000, 1400), abs=12)
    assert (left, right) == pytest.approx((1800, 2200), abs=12)


def test_a_thread_in_a_large_picture_has_no_room_anywhere() -> None:
    mask = np.zeros((3000, 4000), np.bool_)
    mask[1001:1003, 200:3800] = True
    assert roomiest(mask) is None
