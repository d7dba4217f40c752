"""Winograd's filtering gives what a direct convolution gives."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from retouch.engine.layers import winograd
from retouch.engine.layers.winograd import (
    conv3x3,
    linear,
    transform_weight,
    transform_weight_upsampled,
    upsampled_conv3x3,
)


def layer(count: int, inputs: int, outputs: int, height: int, width: int) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(height * width)
    x = torch.randn(count, inputs, height, width, generator=generator)
    weight = torch.randn(outputs, inputs, 3, 3, generator=generator)
    bias = torch.randn(outputs, generator=generator)
    return x.contiguous(memory_format=torch.channels_last), weight, bias


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 3), st.integers(1, 9), st.integers(1, 9), st.integers(1, 7), st.integers(1, 7))
def test_equal_to_a_direct_convolution(count: int, inputs: int, outputs: int, rows: int, columns: int) -> None:
    x, weight, bias = layer(count, inputs, outputs, 4 * rows, 4 * columns)
    direct = F.conv2d(x.double(), weight.double(), bias.double(), padding=1)
    torch.testing.assert_close(conv3x3(x, transform_weight(weight), bias).double(), direct, rtol=1e-4, atol=1e-4)
    plain = conv3x3(x, transform_weight(weight), None) + bias[:, None, None]
    torch.testing.assert_close(plain.double(), direct, rtol=1e-4, atol=1e-4)


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 3), st.integers(1, 9), st.integers(1, 9), st.integers(1, 7), st.integers(1, 7))
def test_equal_to_upsampling_then_convolving(
    count: int, inputs: int, outputs: int, rows: int, columns: int
) -> None:
    x, weight, bias = layer(count, inputs, outputs, rows, columns)
    doubled = F.interpolate(x.double(), scale_factor=2.0, mode="nearest")
    direct = F.conv2d(doubled, weight.double(), bias.double(), padding=1)
    ours = upsampled_conv3x3(x, transform_weight_upsampled(weight), bias)
    torch.testing.assert_close(ours.double(), direct, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("floats", [1, 64, 200, 10_000])
def test_bands_of_any_height_join_without_a_seam(floats: int, monkeypatch: pytest.MonkeyPatch) -> None:
    x, weight, bias = layer(3, 5, 4, 28, 12)
    whole = conv3x3(x, transform_weight(weight), bias)
    doubled = upsampled_conv3x3(x, transform_weight_upsampled(weight), bias)
    for name in ("_PLANE_FLOATS", "_UPSAMPLED_PLANE_FLOATS"):
        monkeypatch.setattr(winograd, name, floats)
    torch.testing.assert_close(conv3x3(x, transform_weight(weight), bias), whole, rtol=1e-5, atol=1e-5)
    banded = upsampled_conv3x3(x, transform_weight_upsampled(weight), bias)
    torch.testing.assert_close(banded, doubled, rtol=1e-5, atol=1e-5)


def test_rounding_errors_are_like_those_of_a_direct_convolution() -> None:
    x, weight, bias = layer(1, 256, 16, 16, 16)
    exact = F.conv2d(x.double(), weight.double(), bias.double(), padding=1)
    ours = (conv3x3(x, transform_weight(weight), bias) - exact).abs().mean()
    direct = (F.conv2d(x, weight, bias, padding=1) - exact).abs().mean()
    assert ours < 3 * direct  # with the points 1 and 2 it is over ten times


def test_outputs_are_channels_last() -> None:
    x, weight, bias = layer(2, 4, 6, 4, 4)
    assert conv3x3(x, transform_weight(weight), bias).is_contiguous(memory_format=torch.channels_last)
    ours = upsampled_conv3x3(x, transform_weight_upsampled(weight), bias)
    assert ours.is_contiguous(memory_format=torch.channels_last)


def test_linear_is_the_plain_one() -> None:
    x, weight, bias = torch.randn(2, 5, 8), torch.randn(7, 8), torch.randn(7)
    torch.testing.assert_close(linear(x, weight, bias), F.linear(x, weight, bias), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(linear(x, weight, None), F.linear(x, weight), rtol=1e-5, atol=1e-5)
