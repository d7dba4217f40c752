"""A group norm and its activation as one affine map."""

import pytest
import torch
import torch.nn.functional as F

from retouch.engine.layers import group_norm
from retouch.engine.layers.group_norm import norm_and_silu


def norm_of(channels: int, groups: int) -> torch.nn.GroupNorm:
    norm = torch.nn.GroupNorm(groups, channels, eps=1e-6)
    torch.nn.init.normal_(norm.weight)
    torch.nn.init.normal_(norm.bias)
    return norm


@torch.inference_mode()
@pytest.mark.parametrize("floats", [1, 40, 10_000])
@pytest.mark.parametrize("offset", [0.0, 100.0])
def test_equal_to_norm_then_activation(floats: int, offset: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group_norm, "_PART_FLOATS", floats)
    torch.manual_seed(0)
    x = (torch.randn(3, 8, 5, 7) + offset).contiguous(memory_format=torch.channels_last)
    norm, scale, shift = norm_of(8, 4), torch.randn(3, 8, 1, 1), torch.randn(3, 8, 1, 1)
    exact = F.group_norm(x.double(), 4, norm.weight.double(), norm.bias.double(), norm.eps)
    expected = F.silu(exact * (1 + scale) + shift).float()
    found = norm_and_silu(x, norm, scale, shift)
    for images in (slice(0, 3), slice(1, 2)):
        pixels = x.permute(0, 2, 3, 1)[images]
        ours = torch.empty_like(pixels)
        found.of(pixels, images, out=ours)
        torch.testing.assert_close(ours.permute(0, 3, 1, 2), expected[images], rtol=1e-4, atol=1e-4)


@torch.inference_mode()
def test_no_image_depends_on_its_company() -> None:
    x, norm = torch.randn(5, 8, 16, 16).contiguous(memory_format=torch.channels_last), norm_of(8, 2)
    together, alone = norm_and_silu(x, norm), norm_and_silu(x[3:4], norm)
    assert torch.equal(together.scale[3:4], alone.scale)
    assert torch.equal(together.shift[3:4], alone.shift)
