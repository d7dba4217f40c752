"""Residual blocks and feed-forwards: the numbers of the plain ones, and what they were given left as it was."""

from dataclasses import replace

import pytest
import torch
from diffusers.models.attention import FeedForward
from diffusers.models.resnet import ResnetBlock2D
from tests.engine.layers.everywhere import EVERYWHERE, tuned_part

from retouch.engine.layers.blocks import FastFeedForward, FastGEGLU, FastResnetBlock2D


@torch.inference_mode()
@pytest.mark.parametrize("time_embedding_norm", ["default", "scale_shift"])
@pytest.mark.parametrize("out_channels", [8, 12])
@pytest.mark.parametrize("residual_floats", [1, 10**9])
def test_a_residual_block_gives_the_same_numbers(
    time_embedding_norm: str, out_channels: int, residual_floats: int
) -> None:
    torch.manual_seed(0)
    widths = {"in_channels": 8, "out_channels": out_channels, "temb_channels": 6, "groups": 4}
    block = ResnetBlock2D(**widths, time_embedding_norm=time_embedding_norm).eval()
    for norm in (block.norm1, block.norm2):
        torch.nn.init.normal_(norm.weight)
        torch.nn.init.normal_(norm.bias)
    fast = tuned_part(block, replace(EVERYWHERE, residual_floats=residual_floats))
    assert type(fast) is FastResnetBlock2D
    x, temb = torch.randn(3, 8, 8, 4).contiguous(memory_format=torch.channels_last), torch.randn(3, 6)
    given, given_temb = x.clone(), temb.clone()
    torch.testing.assert_close(fast(x, temb), block(x, temb), rtol=1e-4, atol=1e-5)
    assert torch.equal(x, given)
    assert torch.equal(temb, given_temb)


@torch.inference_mode()
@pytest.mark.parametrize("out_channels", [8, 12])
def test_a_block_that_owns_its_input_may_add_to_it(out_channels: int) -> None:
    torch.manual_seed(0)
    block = ResnetBlock2D(in_channels=8, out_channels=out_channels, temb_channels=None, groups=4).eval()
    fast = tuned_part(block, replace(EVERYWHERE, owns_residuals=True))
    x = torch.randn(3, 8, 8, 4).contiguous(memory_format=torch.channels_last)
    expected = block(x.clone(), None)
    made = fast(x, None)
    torch.testing.assert_close(made, expected, rtol=1e-4, atol=1e-5)
    assert (made.data_ptr() == x.data_ptr()) == (out_channels == 8)


@torch.inference_mode()
@pytest.mark.parametrize("rows", [7, 10**9])
def test_a_feed_forward_gives_the_same_numbers_whole_and_in_parts(rows: int) -> None:
    torch.manual_seed(0)
    plain = FeedForward(6, mult=2).eval()
    fast = tuned_part(plain, replace(EVERYWHERE, feed_forward_rows=rows))
    assert type(fast) is FastFeedForward
    assert type(fast.net[0]) is FastGEGLU
    x = torch.randn(2, 20, 6)
    given = x.clone()
    torch.testing.assert_close(fast(x), plain(x), rtol=1e-5, atol=1e-6)
    assert torch.equal(x, given)
