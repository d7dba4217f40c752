"""UNet and text encoder as one module."""

from typing import Any

import pytest
import torch

from retouch.errors import InvalidField
from retouch.train import denoiser as denoisers
from retouch.train.config import TrainConfig
from retouch.train.denoiser import build_denoiser, empty_tokens
from retouch.train.ema import trained_parameters
from retouch.train.origin import load_origin


def build(recipe: dict[str, Any]) -> Any:
    model = TrainConfig.model_validate(recipe).model
    return build_denoiser(model, load_origin(model))


def gradients(denoiser: Any, tokenizer: Any) -> set[str]:
    generator = torch.Generator().manual_seed(0)
    tokens = empty_tokens(tokenizer).expand(2, -1)
    prediction = denoiser(torch.randn(2, 4, 8, 8, generator=generator), torch.tensor([1, 500]), tokens)
    prediction.square().mean().backward()
    return {name for name, parameter in denoiser.named_parameters() if parameter.grad is not None}


def test_trained_text_encoder_takes_gradients_through_the_unet(config: TrainConfig) -> None:
    denoiser = build_denoiser(config.model, load_origin(config.model))
    found = gradients(denoiser, load_origin(config.model).tokenizer)
    assert any(name.startswith("text_encoder.") for name in found)


def test_frozen_text_encoder_takes_none(recipe: dict[str, Any]) -> None:
    recipe["model"]["train_text_encoder"] = False
    denoiser = build(recipe)
    tokenizer = load_origin(TrainConfig.model_validate(recipe).model).tokenizer
    assert not any(name.startswith("text_encoder.") for name in gradients(denoiser, tokenizer))


def test_scenes_that_bring_sketches_need_something_to_write_them_with(recipe: dict[str, Any]) -> None:
    denoiser = build(recipe)
    tokens = empty_tokens(load_origin(TrainConfig.model_validate(recipe).model).tokenizer)
    with pytest.raises(InvalidField, match="bring sketches of their own"):
        denoiser(torch.zeros(1, 4, 8, 8), torch.tensor([1]), tokens, torch.zeros(1, 64, 4))


def test_gradient_checkpointing_changes_no_gradient(recipe: dict[str, Any]) -> None:
    norms = []
    for is_on in (False, True):
        recipe["model"]["gradient_checkpointing"] = is_on
        torch.manual_seed(0)
        denoiser = build(recipe).train()
        gradients(denoiser, load_origin(TrainConfig.model_validate(recipe).model).tokenizer)
        norms.append(denoiser.unet.conv_in.weight.grad.clone())
    torch.testing.assert_close(norms[0], norms[1])


def test_plain_and_fused_attention_give_the_same_gradient(
    recipe: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    for most_cells in (0, 10**6):
        monkeypatch.setattr(denoisers, "SMALL_ATTENTION", most_cells)
        torch.manual_seed(0)
        denoiser = build(recipe).train()
        gradients(denoiser, load_origin(TrainConfig.model_validate(recipe).model).tokenizer)
        found.append(denoiser.unet.conv_in.weight.grad.clone())
    torch.testing.assert_close(found[0], found[1])


def test_lora_trains_the_adapters_alone(recipe: dict[str, Any]) -> None:
    recipe["model"] |= {"lora": {"rank": 2}, "train_text_encoder": False}
    assert all("lora" in name for name in trained_parameters(build(recipe)))
