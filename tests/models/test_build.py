"""Models come out as the libraries' own loaders make them, from weights that fit, under any of their names."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker
from safetensors.torch import load_file
from tests.factories import make_checkpoint
from transformers import CLIPTextModel

from retouch.errors import ModelError, ModelUnsafe, ModelUnsupported
from retouch.models.build import build

CLASSES = {
    "unet": UNet2DConditionModel,
    "vae": AutoencoderKL,
    "text_encoder": CLIPTextModel,
    "safety_checker": StableDiffusionSafetyChecker,
}
INPUTS = {
    "unet": (torch.ones(1, 9, 8, 8), 10, torch.ones(1, 16, 32)),
    "vae": (torch.ones(1, 3, 16, 16),),
    "text_encoder": (torch.arange(16)[None],),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_checkpoint(tmp_path_factory.mktemp("build"), safety_checker=True)


def parts(folder: Path, component: str) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    (path,) = (folder / component).glob("*.safetensors")
    return json.loads((folder / component / "config.json").read_text()), load_file(path)


@pytest.mark.parametrize("component", CLASSES)
def test_model_equals_the_librarys_own(folder: Path, component: str) -> None:
    ours = build(component, *parts(folder, component))
    theirs = CLASSES[component].from_pretrained(folder / component)
    for state in ("state_dict", "named_buffers"):
        mine, reference = dict(getattr(ours, state)()), dict(getattr(theirs, state)())
        assert mine.keys() == reference.keys()
        assert all(torch.equal(mine[name], reference[name]) for name in reference)
    assert not ours.training
    if component in INPUTS:
        with torch.inference_mode():
            assert torch.equal(ours(*INPUTS[component])[0], theirs(*INPUTS[component])[0])


def test_loading_draws_nothing_at_random(folder: Path) -> None:
    before = torch.get_rng_state()
    build("unet", *parts(folder, "unet"))
    assert torch.equal(torch.get_rng_state(), before)


def test_former_names_of_weights_are_known(folder: Path) -> None:
    config, weights = parts(folder, "vae")
    former = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}

    def rename(name: str) -> str:
        for new, old in former.items():
            name = name.replace(f".attentions.0.{new}.", f".attentions.0.{old}.")
        return name

    renamed = {rename(name): tensor for name, tensor in weights.items()}
    assert renamed.keys() != weights.keys()
    state = build("vae", config, renamed).state_dict()
    assert all(torch.equal(state[name], weights[name]) for name in weights)


@pytest.mark.parametrize(
    ("component", "prefix", "former"),
    [("text_encoder", "", "text_model."), ("safety_checker", "vision_model.", "vision_model.vision_model.")],
)
def test_names_of_both_generations_of_transformers_are_known(
    folder: Path, component: str, prefix: str, former: str
) -> None:
    config, weights = parts(folder, component)
    both = [
        {
            former + name.removeprefix(former).removeprefix(prefix) if name.startswith(prefix) else name: tensor
            for name, tensor in weights.items()
        },
        {name.replace(former, prefix): tensor for name, tensor in weights.items()},
    ]
    assert both[0].keys() != both[1].keys()
    first, second = (build(component, config, renamed).state_dict() for renamed in both)
    assert all(torch.equal(first[name], second[name]) for name in first)
    with pytest.raises(ModelUnsafe, match="twice"):
        build(component, config, both[0] | both[1])


def test_weights_beyond_clips_layers_are_left_out(folder: Path) -> None:
    config, weights = parts(folder, "text_encoder")
    build("text_encoder", config, {**weights, "text_model.embeddings.position_ids": torch.arange(16)})


def test_config_of_fewer_layers_than_the_weights_is_an_error(folder: Path) -> None:
    config, weights = parts(folder, "vae")
    del config["up_block_types"]  # one, where nothing is said
    with pytest.raises(ModelError, match="knows no"):
        build("vae", config, weights)


def test_weights_of_another_shape_are_named(folder: Path) -> None:
    config, weights = parts(folder, "unet")
    with pytest.raises(ModelError, match=r"conv_out\.bias is \(7,\), not \(4,\)"):
        build("unet", config, {**weights, "conv_out.bias": torch.ones(7)})


def test_weights_that_are_no_floats_are_unsupported(folder: Path) -> None:
    config, weights = parts(folder, "unet")
    with pytest.raises(ModelUnsupported, match="int8"):
        build("unet", config, {**weights, "conv_out.bias": torch.ones(4, dtype=torch.int8)})


def test_layers_are_no_more_than_tensors(folder: Path) -> None:
    config, weights = parts(folder, "text_encoder")
    with pytest.raises(ModelUnsafe, match="64 layers"):
        build("text_encoder", {**config, "num_hidden_layers": 64}, weights)
