"""What was repainted is found in boxes that are not larger than it."""

import numpy as np
import pytest

from retouch.safety.parts import MAX_PARTS, parts_of

SIDE = 2048
FILL = (300, 300, 812, 812)


def mask_of(*boxes: tuple[int, int, int, int]) -> np.ndarray:
    mask = np.zeros((SIDE, SIDE), bool)
    for left, top, right, bottom in boxes:
        mask[top:bottom, left:right] = True
    return mask


def ring(mask: np.ndarray) -> None:
    mask[:3] = mask[-3:] = True
    mask[:, :3] = mask[:, -3:] = True


def diagonal(mask: np.ndarray) -> None:
    steps = np.arange(SIDE)
    mask[steps, steps] = True


def dust(mask: np.ndarray) -> None:
    rng = np.random.default_rng(0)
    mask[rng.integers(0, SIDE, 300), rng.integers(0, SIDE, 300)] = True


def speck(mask: np.ndarray) -> None:
    mask[-8:, -8:] = True


def line(mask: np.ndarray) -> None:
    mask[812:, 500] = mask[2000, 500:] = True


def test_one_part_is_one_tight_box() -> None:
    assert parts_of(mask_of(FILL)) == [FILL]
    assert parts_of(mask_of((1001, 3, 1014, 5))) == [(1001, 3, 1014, 5)]


def test_parts_that_lie_apart_have_a_box_each() -> None:
    boxes = [(10, 10, 110, 110), (1500, 20, 1600, 120), (700, 1900, 800, 2000)]
    assert parts_of(mask_of(*boxes)) == boxes


@pytest.mark.parametrize("disturb", [speck, line, ring, diagonal, dust])
def test_nothing_that_is_marked_besides_makes_a_parts_box_large(disturb) -> None:  # type: ignore[no-untyped-def]
    mask = mask_of(FILL)
    disturb(mask)
    shares = [
        mask[300:812, 300:812][max(0, top - 300) : bottom - 300, max(0, left - 300) : right - 300].sum()
        / max(right - left, bottom - top) ** 2
        for left, top, right, bottom in parts_of(mask)
        if left < 812 and top < 812
    ]
    assert max(shares) > 1 / 3


def test_a_long_part_is_cut_in_pieces() -> None:
    pieces = parts_of(mask_of((100, 100, 140, 1900)))
    assert max(max(right - left, bottom - top) for left, top, right, bottom in pieces) < SIDE / 8


@pytest.mark.parametrize("size", [(1, 1), (1, 3000), (3000, 7), (513, 1025)])
@pytest.mark.parametrize("share", [0.0001, 0.01, 0.5, 1.0])
def test_every_marked_pixel_is_in_a_box_and_the_boxes_are_few(size: tuple[int, int], share: float) -> None:
    mask = np.random.default_rng(1).random(size) < share
    parts = parts_of(mask)
    covered = np.zeros(size, bool)
    for left, top, right, bottom in parts:
        assert 0 <= left < right <= size[1]
        assert 0 <= top < bottom <= size[0]
        covered[top:bottom, left:right] = True
    assert not (mask & ~covered).any()
    assert len(parts) <= MAX_PARTS


def test_nothing_marked_has_no_parts() -> None:
    assert parts_of(np.zeros((5, 5), bool)) == []
