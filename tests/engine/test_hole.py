"""What the denoiser is told about the hole."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from retouch.engine.hole import latent_cells, spread_colors
from retouch.errors import MaskSizeError


@given(st.integers(0, 2**16 - 1))
def test_cover_marks_a_cell_if_any_of_its_pixels_is(bits: int) -> None:
    mask = torch.tensor([(bits >> n) & 1 for n in range(16)], dtype=torch.float32).reshape(1, 4, 4)
    cells = latent_cells(mask, "cover", 2)
    for y in range(2):
        for x in range(2):
            assert cells[0, y, x] == mask[0, 2 * y : 2 * y + 2, 2 * x : 2 * x + 2].max()


def test_nearest_marks_a_cell_if_its_first_pixel_is() -> None:
    mask = torch.zeros(1, 4, 4)
    mask[0, 1, 1] = mask[0, 2, 2] = 1.0
    assert latent_cells(mask, "nearest", 2).tolist() == [[[0.0, 0.0], [0.0, 1.0]]]


@pytest.mark.parametrize("mode", ["cover", "nearest"])
def test_a_side_that_does_not_divide_is_an_error(mode: str) -> None:
    with pytest.raises(MaskSizeError):
        latent_cells(torch.zeros(1, 4, 6), mode, 4)


def test_fill_keeps_what_is_known_and_stays_within_its_colours() -> None:
    image = torch.rand(3, 21, 34, generator=torch.Generator().manual_seed(0))
    mask = torch.zeros(1, 21, 34)
    mask[:, 5:16, 7:30] = 1.0
    filled = spread_colors(image, mask)
    assert torch.equal(filled[:, mask[0] < 0.5], image[:, mask[0] < 0.5])
    assert filled.min() >= image.min() - 1e-5
    assert filled.max() <= image.max() + 1e-5


def test_fill_of_a_plain_picture_is_plain() -> None:
    image = torch.full((3, 16, 16), -0.25)
    mask = torch.ones(1, 16, 16)
    mask[:, 0, :] = 0.0
    torch.testing.assert_close(spread_colors(torch.where(mask > 0, torch.tensor(9.0), image), mask), image)


def test_fill_of_a_hole_without_surroundings_is_grey() -> None:
    assert torch.equal(spread_colors(torch.ones(3, 8, 8), torch.ones(1, 8, 8)), torch.zeros(3, 8, 8))
