"""The grid shows input, mask and outputs side by side."""

import numpy as np
import pytest

from retouch.imaging.grid import grid_picture
from retouch.imaging.picture import Picture

RED = Picture(np.full((60, 80, 3), (200, 0, 0), np.uint8))
MASK = np.zeros((60, 80), bool)
MASK[20:40, 20:60] = True


def _has_colour(grid: Picture, colour: tuple[int, int, int], columns: slice) -> bool:
    return bool((np.abs(grid.pixels[:, columns].astype(int) - colour).max(axis=2) < 3).sum() > 500)


def test_input_mask_and_output_stand_in_this_order() -> None:
    green = Picture(np.full((60, 80, 3), (0, 200, 0), np.uint8))
    grid = grid_picture(RED, MASK, [green], prompt="a red apple", cell_px=160)
    third = grid.width // 3
    assert _has_colour(grid, (200, 0, 0), slice(0, third))
    assert _has_colour(grid, (0, 0, 0), slice(third, 2 * third))
    assert _has_colour(grid, (255, 255, 255), slice(third, 2 * third))
    assert _has_colour(grid, (0, 200, 0), slice(2 * third, None))


def test_a_long_prompt_is_wrapped_within_the_sheet_and_cut_at_six_lines() -> None:
    short = grid_picture(RED, MASK, [RED], prompt="apple", cell_px=160)
    long = grid_picture(RED, MASK, [RED], prompt="a red apple " * 20, cell_px=160)
    endless = grid_picture(RED, MASK, [RED], prompt="a red apple " * 2000, cell_px=160)
    assert short.width == long.width == endless.width
    assert short.height < long.height <= endless.height
    assert (long.pixels[:, -4:] == 255).all()
    assert endless.height < 400


def test_no_prompt_needs_no_room() -> None:
    assert grid_picture(RED, MASK, [RED], prompt="", cell_px=160).height < 180


def test_more_outputs_make_a_wider_sheet() -> None:
    one, three = (grid_picture(RED, MASK, [RED] * count, prompt="p", cell_px=96) for count in (1, 3))
    assert three.width - one.width == 2 * (96 + 16)


@pytest.mark.parametrize("shape", [(60, 80), (60, 80, 3)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_every_kind_of_picture_can_be_shown(shape: tuple, dtype: type) -> None:
    peak = np.iinfo(dtype).max
    picture = Picture(np.full(shape, peak, dtype), np.zeros(shape[:2], dtype))
    grid = grid_picture(picture, MASK, [picture], prompt="ä 😀 x" * 3, cell_px=64)
    assert grid.pixels.dtype == np.uint8
    assert _has_colour(grid, (236, 236, 236), slice(0, 80))


def test_the_same_grid_is_the_same_pixels() -> None:
    first, second = (grid_picture(RED, MASK, [RED], prompt="p", cell_px=64) for _ in range(2))
    assert np.array_equal(first.pixels, second.pixels)
