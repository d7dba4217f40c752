"""Filtered convolutions are the direct ones, however they are cut."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from retouch.engine.layers import filtered
from retouch.engine.layers.filtered import conv3x3, upsampled_conv3x3
from retouch.engine.layers.group_norm import ScaledSilu
from retouch.engine.layers.scratch import Scratch
from retouch.engine.layers.winograd import PLAIN, UPSAMPLED


def layer(count: int, inputs: int, outputs: int, height: int, width: int) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(height * width)
    x = torch.randn(count, inputs, height, width, generator=generator)
    weight = torch.randn(outputs, inputs, 3, 3, generator=generator)
    bias = torch.randn(outputs, generator=generator)
    return x.contiguous(memory_format=torch.channels_last), weight, bias


SIZES = (st.integers(1, 3), st.integers(1, 9), st.integers(1, 9), st.integers(1, 7), st.integers(1, 7))


@pytest.fixture(params=[0, 256], ids=["shared weights", "parts of weights"])
def lone_tiles(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a test with many bands, whose weights are transformed as a whole, and with a single one."""
    monkeypatch.setattr(filtered, "_LONE_TILES", request.param)
    monkeypatch.setattr(filtered, "_PART", 4)
    if not request.param:
        set_plane_floats(monkeypatch, 64)


def set_plane_floats(monkeypatch: pytest.MonkeyPatch, floats: int) -> None:
    for name, filtering in (("PLAIN", PLAIN), ("UPSAMPLED", UPSAMPLED)):
        monkeypatch.setattr(filtered, name, replace(filtering, plane_floats=floats))


@pytest.mark.usefixtures("lone_tiles")
@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(*SIZES)
def test_equal_to_a_direct_convolution(count: int, inputs: int, outputs: int, rows: int, columns: int) -> None:
    x, weight, bias = layer(count, inputs, outputs, 4 * rows, 4 * columns)
    direct = F.conv2d(x.double(), weight.double(), bias.double(), padding=1)
    torch.testing.assert_close(conv3x3(x, weight, bias, Scratch()).double(), direct, rtol=1e-4, atol=1e-4)
    plain = conv3x3(x, weight, None, Scratch()) + bias[:, None, None]
    torch.testing.assert_close(plain.double(), direct, rtol=1e-4, atol=1e-4)


@pytest.mark.usefixtures("lone_tiles")
@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(*SIZES)
def test_equal_to_upsampling_then_convolving(
    count: int, inputs: int, outputs: int, rows: int, columns: int
) -> None:
    x, weight, bias = layer(count, inputs, outputs, rows, columns)
    doubled = F.interpolate(x.double(), scale_factor=2.0, mode="nearest")
    direct = F.conv2d(doubled, weight.double(), bias.double(), padding=1)
    ours = upsampled_conv3x3(x, weight, bias, Scratch())
    torch.testing.assert_close(ours.double(), direct, rtol=1e-4, atol=1e-4)


@pytest.mark.usefixtures("lone_tiles")
@pytest.mark.parametrize("floats", [1, 64, 150])
def test_activated_first_and_added_in_place_to_what_is_there(floats: int, monkeypatch: pytest.MonkeyPatch) -> None:
    set_plane_floats(monkeypatch, floats)
    x, weight, bias = layer(4, 5, 4, 12, 8)
    before = ScaledSilu(torch.randn(4, 1, 1, 5), torch.randn(4, 1, 1, 5))
    scale, shift = (part.permute(0, 3, 1, 2).double() for part in (before.scale, before.shift))
    there = torch.randn(4, 4, 12, 8).contiguous(memory_format=torch.channels_last)
    activated = F.silu(x.double() * scale + shift)
    expected = there.double() + F.conv2d(activated, weight.double(), bias.double(), padding=1)
    assert conv3x3(x, weight, bias, Scratch(), before=before, onto=there).data_ptr() == there.data_ptr()
    torch.testing.assert_close(there.double(), expected, rtol=1e-4, atol=1e-4)


def test_what_passes_lies_in_the_scratch_and_all_else_does_not() -> None:
    (x, weight, bias), scratch = layer(1, 4, 4, 8, 8), Scratch()
    kept, passing = conv3x3(x, weight, bias, scratch), conv3x3(x, weight, bias, scratch, is_passing=True)
    assert torch.equal(kept, passing)
    before = kept.clone()
    conv3x3(2 * x, weight, bias, scratch, is_passing=True)
    assert torch.equal(kept, before)
    assert not torch.equal(passing, before)


@pytest.mark.parametrize("floats", [1, 64, 200, 10_000])
def test_bands_of_any_height_join_without_a_seam(floats: int, monkeypatch: pytest.MonkeyPatch) -> None:
    x, weight, bias = layer(3, 5, 4, 28, 12)
    monkeypatch.setattr(filtered, "_LONE_TILES", 0)
    whole, doubled = (run(x, weight, bias, Scratch()) for run in (conv3x3, upsampled_conv3x3))
    set_plane_floats(monkeypatch, floats)
    torch.testing.assert_close(conv3x3(x, weight, bias, Scratch()), whole, rtol=1e-5, atol=1e-5)
    banded = upsampled_conv3x3(x, weight, bias, Scratch())
    torch.testing.assert_close(banded, doubled, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("images_of_bands", "channels", "side"),
    [
        pytest.param([2], 1280, 16, id="lone band of two"),
        pytest.param([5], 640, 16, id="lone band of five"),
        pytest.param([3, 3], 640, 16, id="several images a band"),
        pytest.param([1, 1, 1], 320, 64, id="one image a band"),
    ],
)
@pytest.mark.parametrize("run", [conv3x3, upsampled_conv3x3])
def test_an_image_gets_the_same_bits_in_every_place(
    images_of_bands: list[int],
    channels: int,
    side: int,
    run: Callable[..., torch.Tensor],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    count = sum(images_of_bands)
    filtering = PLAIN if run is conv3x3 else UPSAMPLED
    tiles = (side // filtering.tile) ** 2
    monkeypatch.setattr(filtered, "_LONE_TILES", count * tiles if len(images_of_bands) == 1 else 0)
    set_plane_floats(monkeypatch, images_of_bands[0] * tiles * channels)
    if len(images_of_bands) > 1:
        own = filtered.PLAIN if run is conv3x3 else filtered.UPSAMPLED
        bands = filtered._bands(own, count, side, side, channels)
        assert [len(range(count)[images]) for images, _, _ in bands] == images_of_bands
    x, weight, bias = layer(count, channels, channels, side, side)
    first = run(x, weight, bias, Scratch())
    moved = run(x.roll(1, 0).contiguous(memory_format=torch.channels_last), weight, bias, Scratch())
    assert torch.equal(moved.roll(-1, 0), first)


def test_rounding_errors_are_like_those_of_a_direct_convolution() -> None:
    x, weight, bias = layer(1, 256, 16, 16, 16)
    exact = F.conv2d(x.double(), weight.double(), bias.double(), padding=1)
    ours = (conv3x3(x, weight, bias, Scratch()) - exact).abs().mean()
    direct = (F.conv2d(x, weight, bias, padding=1) - exact).abs().mean()
    assert ours < 3 * direct  # with the points 1 and 2 it is over ten times


def test_outputs_are_channels_last() -> None:
    x, weight, bias = layer(2, 4, 6, 4, 4)
    for run in (conv3x3, upsampled_conv3x3):
        assert run(x, weight, bias, Scratch()).is_contiguous(memory_format=torch.channels_last)
