"""A hole is continued out of the patches around it, the same way on every processor."""

import time

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from retouch.engine.hole import spread_colors
from retouch.engine.patches import continue_patches


def hole_in(height: int, width: int, box: tuple[int, int, int, int]) -> torch.Tensor:
    left, top, right, bottom = box
    mask = torch.zeros(1, height, width)
    mask[:, top:bottom, left:right] = 1
    return mask


def stripes(height: int, width: int, period: int) -> torch.Tensor:
    wave = torch.where(torch.arange(width) % period < period // 2, 0.8, -0.6)
    return wave.expand(3, height, width).contiguous()


def noise(height: int, width: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(3, height, width, generator=torch.Generator().manual_seed(seed)) * 2 - 1


@pytest.mark.parametrize("side", [64, 131, 640])
def test_a_pattern_goes_on_through_the_hole(side: int) -> None:
    image, mask = stripes(side, side, 8), hole_in(side, side, (side // 3, side // 4, side // 2, side // 2))
    assert (continue_patches(image, mask, seed=0) - image).abs().mean() < 0.01


def test_a_line_meets_on_the_other_side() -> None:
    image = torch.full((3, 96, 96), 0.5)
    image[:, 44:52] = -0.5
    filled = continue_patches(image, hole_in(96, 96, (34, 30, 62, 66)), seed=0)
    assert (filled - image).abs().amax() < 0.05


def test_smooth_ground_is_not_continued_by_rough_ground_of_the_same_colour() -> None:
    image = torch.cat([noise(128, 40) * 0.5, torch.zeros(3, 128, 88)], dim=2)
    mask = hole_in(128, 128, (56, 40, 92, 88))
    assert (continue_patches(image, mask, seed=0) * mask).abs().amax() < 0.1


def test_kept_pixels_stay_and_what_the_hole_held_is_not_looked_at() -> None:
    image, mask = noise(70, 90), hole_in(70, 90, (20, 10, 60, 50))
    filled = continue_patches(image, mask, seed=3)
    assert torch.equal(filled * (1 - mask), image * (1 - mask))
    assert torch.equal(continue_patches(torch.where(mask > 0, 1.0, image), mask, seed=3), filled)


def test_a_seed_is_one_picture_on_any_number_of_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    image, mask = noise(100, 80), hole_in(100, 80, (20, 10, 60, 50))
    filled = continue_patches(image, mask, seed=3)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(3 if before == 1 else 1)
        assert torch.equal(continue_patches(image, mask, seed=3), filled)
    finally:
        torch.set_num_threads(before)


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_any_size_and_any_hole_is_filled(data: st.DataObject) -> None:
    height, width = data.draw(st.integers(1, 70)), data.draw(st.integers(1, 70))
    image, mask = noise(height, width), (noise(height, width, 1)[:1] > data.draw(st.floats(-1, 1))).float()
    filled = continue_patches(image, mask, seed=0)
    assert torch.equal(filled * (1 - mask), image * (1 - mask))
    assert filled.abs().amax() <= 1


def test_known_pixels_too_few_for_a_window_lend_their_colours() -> None:
    image, mask = torch.full((3, 40, 40), 0.25), hole_in(40, 40, (2, 2, 38, 38))
    torch.testing.assert_close(continue_patches(image, mask, seed=0), image, atol=1e-4, rtol=0)


def test_much_hole_beside_little_that_is_known_takes_no_longer_than_much_of_both() -> None:
    mask = torch.ones(1, 320, 320)
    mask[:, :60, :60] = 0
    began = time.process_time()
    continue_patches(noise(320, 320), mask, seed=0)
    assert time.process_time() - began < 20  # all pairs would take minutes


def test_a_thin_picture_of_many_pixels_is_continued_by_its_texture() -> None:
    image, mask = noise(40, 3000), hole_in(40, 3000, (1500, 0, 1505, 40))
    inside = mask[0] > 0
    rough, smooth = (
        fill[:, inside].std() for fill in (continue_patches(image, mask, seed=0), spread_colors(image, mask))
    )
    assert rough > 1.5 * smooth


def test_the_work_ends_where_a_check_says_so() -> None:
    def check() -> None:
        raise TimeoutError

    with pytest.raises(TimeoutError):
        continue_patches(noise(64, 64), hole_in(64, 64, (20, 20, 40, 40)), seed=0, check=check)


def test_nothing_known_is_grey() -> None:
    assert not continue_patches(noise(9, 9), torch.ones(1, 9, 9), seed=0).any()
