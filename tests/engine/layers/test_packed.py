"""Packed layers give the plain ones' numbers, bit by bit, for every input and not only the first."""

import copy

import pytest
import torch
from tests.engine.layers.everywhere import EVERYWHERE
from torch import nn

from retouch.engine import tune
from retouch.engine.layers.packed import PackedConv2d, PackedLinear
from retouch.engine.tune import tuned
from retouch.models.bundle import ModelBundle
from retouch.models.devices import multiplies_bf16

needs_bf16 = pytest.mark.skipif(not multiplies_bf16(), reason="the processor does not multiply bfloat16")


def packed(layer: nn.Module, fast: type[nn.Module]) -> nn.Module:
    layer.to(torch.bfloat16).requires_grad_(False)
    layer.__class__ = fast
    return layer


@needs_bf16
@torch.inference_mode()
@pytest.mark.parametrize(("kernel", "stride", "padding"), [(3, 1, 1), (3, 2, 1), (1, 1, 0)])
def test_convolutions(kernel: int, stride: int, padding: int) -> None:
    plain = nn.Conv2d(32, 64, kernel, stride, padding).to(torch.bfloat16).to(memory_format=torch.channels_last)
    fast = nn.Conv2d(32, 64, kernel, stride, padding)
    fast.load_state_dict(plain.state_dict())
    packed(fast, PackedConv2d)
    for shape in ((2, 32, 16, 16), (3, 32, 8, 24)):
        x = torch.randn(shape).to(torch.bfloat16).contiguous(memory_format=torch.channels_last)
        torch.testing.assert_close(fast(x), plain(x), rtol=0.02, atol=0.02)


@needs_bf16
@torch.inference_mode()
def test_linear_layers() -> None:
    plain, fast = nn.Linear(48, 64).to(torch.bfloat16), nn.Linear(48, 64)
    fast.load_state_dict(plain.state_dict())
    packed(fast, PackedLinear)
    for shape in ((2, 77, 48), (5, 48)):
        x = torch.randn(shape).to(torch.bfloat16)
        torch.testing.assert_close(fast(x), plain(x), rtol=0.02, atol=0.02)


@needs_bf16
@torch.inference_mode()
def test_a_unet_in_bf16_is_packed_and_gives_the_plain_ones_numbers(bundle: ModelBundle) -> None:
    plain = copy.deepcopy(bundle.unet).to(torch.bfloat16)
    fast = tuned(plain, EVERYWHERE)
    names = {type(module).__name__ for module in fast.modules()}
    assert {"PackedConv2d", "PackedLinear", "PlainContextLinear"} <= names
    sample = torch.randn(2, 9, 8, 8).to(torch.bfloat16).contiguous(memory_format=torch.channels_last)
    embeds, timesteps = torch.randn(2, 16, 32).to(torch.bfloat16), torch.tensor([999.0, 1.0])
    expected = plain(sample, timesteps, encoder_hidden_states=embeds).sample
    for _ in range(2):
        again = fast(sample, timesteps, encoder_hidden_states=embeds).sample
        torch.testing.assert_close(again, expected, rtol=0.02, atol=0.02)


def test_where_the_processor_does_not_multiply_bf16_the_model_stays(
    bundle: ModelBundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tune, "multiplies_bf16", lambda: False)
    plain = copy.deepcopy(bundle.unet).to(torch.bfloat16)
    assert tuned(plain, EVERYWHERE) is plain
