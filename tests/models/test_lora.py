"""LoRAs change the weights as diffusers and PEFT do, or are refused by name."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import StableDiffusionInpaintPipeline
from diffusers.utils import convert_state_dict_to_diffusers
from peft import LoraConfig, get_peft_model_state_dict
from safetensors.torch import save_file
from tests.factories import make_checkpoint

from retouch.errors import ModelUnsupported
from retouch.models.load import load_model
from retouch.models.options import LoadOptions

ATTENTION = "down_blocks.0.attentions.0.transformer_blocks.0.attn1"
UNET_LAYERS = ["to_q", "to_out.0", "proj_in", "ff.net.0.proj", "conv1", "time_emb_proj"]
TEXT_LAYERS = ["q_proj", "out_proj", "fc1"]
Weights = dict[str, torch.Tensor]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_checkpoint(tmp_path_factory.mktemp("lora") / "model")


def pipeline(folder: Path) -> Any:
    return StableDiffusionInpaintPipeline.from_pretrained(folder)


def changes(folder: Path, after: Any) -> Weights:
    """Return what a pipeline or bundle has more than the checkpoint, by component and layer."""
    before = pipeline(folder)
    found = {}
    for component in ("unet", "text_encoder"):
        old = getattr(before, component).state_dict()
        new = getattr(after, component).state_dict()
        assert old.keys() == new.keys()
        found |= {f"{component}.{key}": new[key] - old[key] for key in old if not torch.equal(new[key], old[key])}
    return found


def ours(folder: Path, file: Path, scale: float = 1.0, **options: Any) -> Weights:
    lora = (f"{file}:{scale}",)
    return changes(folder, load_model(folder, LoadOptions(device="cpu", loras=lora, **options)))


def theirs(folder: Path, file: Path, scale: float = 1.0) -> Weights:
    pipe = pipeline(folder)
    pipe.load_lora_weights(file.parent, weight_name=file.name)
    pipe.fuse_lora(lora_scale=scale)
    pipe.unload_lora_weights()
    return changes(folder, pipe)


def assert_same_changes(one: Weights, other: Weights) -> None:
    assert one
    assert one.keys() == other.keys()
    for key in one:
        torch.testing.assert_close(one[key], other[key], rtol=1e-4, atol=1e-5)


def trained(folder: Path, *, unet_layers: Sequence[str] = UNET_LAYERS, **config: Any) -> Any:
    """Return a pipeline whose PEFT layers, on UNet and text encoder, hold random numbers."""
    pipe = pipeline(folder)
    for module, layers in ((pipe.unet, list(unet_layers)), (pipe.text_encoder, TEXT_LAYERS)):
        module.add_adapter(LoraConfig(target_modules=layers, **config))
        generator = torch.Generator().manual_seed(0)
        for name, parameter in module.named_parameters():
            if "lora_A" in name or "lora_B" in name:
                parameter.data = torch.randn(parameter.shape, generator=generator) * 0.3
            elif "magnitude" in name:
                parameter.data *= 1.0 + torch.rand(parameter.shape, generator=generator)
    return pipe


def save(pipe: Any, folder: Path, *, is_old: bool = False) -> Path:
    """Write a trained pipeline's LoRA as diffusers' training scripts do, with PEFT's config in the metadata."""
    layers = {}
    for name in ("unet", "text_encoder"):
        state = get_peft_model_state_dict(getattr(pipe, name))
        layers[f"{name}_lora_layers"] = convert_state_dict_to_diffusers(state) if is_old else state
        layers[f"{name}_lora_adapter_metadata"] = getattr(pipe, name).peft_config["default"].to_dict()
    pipe.save_lora_weights(folder, **layers)
    return folder / "pytorch_lora_weights.safetensors"


@pytest.mark.parametrize("is_old", [False, True])
@pytest.mark.parametrize(
    "config",
    [
        {"r": 4, "lora_alpha": 16},
        {"r": 8, "lora_alpha": 4},
        {"r": 4, "lora_alpha": 16, "use_rslora": True},
        {"r": 4, "lora_alpha": 4, "alpha_pattern": {"to_q": 12, "fc1": 2}, "rank_pattern": {"conv1": 2}},
    ],
)
def test_alpha_of_the_metadata_counts_as_in_diffusers(
    config: Mapping[str, Any], is_old: bool, folder: Path, tmp_path: Path
) -> None:
    # diffusers itself drops the attention's layers where the older spelling stands beside others.
    layers = ["to_q", "to_out.0"] if is_old else UNET_LAYERS
    file = save(trained(folder, unet_layers=layers, **config), tmp_path, is_old=is_old)
    assert_same_changes(ours(folder, file, 0.5), theirs(folder, file, 0.5))


def test_dora_of_peft_is_applied_with_its_magnitudes(folder: Path, tmp_path: Path) -> None:
    pipe = trained(folder, r=4, lora_alpha=8, use_dora=True)
    file = save(pipe, tmp_path)
    # PEFT's own layers, fused where they were trained: on the way through a file transformers 5.23 loses the text
    # encoder's magnitudes.
    pipe.fuse_lora(lora_scale=0.7)
    pipe.unload_lora_weights()
    assert_same_changes(ours(folder, file, 0.7), changes(folder, pipe))


def kohya(folder: Path, alpha: float | None = 2.0) -> Weights:
    """Return a kohya file's weights for one layer of each sort."""
    pipe, weights, generator = pipeline(folder), {}, torch.Generator().manual_seed(1)
    for module, prefix, layers in (
        (pipe.unet, "lora_unet_", UNET_LAYERS),
        (pipe.text_encoder, "lora_te_text_model_", TEXT_LAYERS),
    ):
        for path, layer in module.named_modules():
            if not path.endswith(tuple(layers)):
                continue
            name = prefix + path.removeprefix("text_model.").replace(".", "_")
            out, inside, *kernel = layer.weight.shape
            weights[f"{name}.lora_down.weight"] = torch.randn(3, inside, *kernel, generator=generator)
            weights[f"{name}.lora_up.weight"] = torch.randn(out, 3, *[1 for _ in kernel], generator=generator)
            if alpha is not None:
                weights[f"{name}.alpha"] = torch.tensor(alpha)
    return weights


@pytest.mark.parametrize("alpha", [2.0, None])
def test_kohyas_names_and_alphas_count_as_in_diffusers(alpha: float | None, folder: Path, tmp_path: Path) -> None:
    save_file(kohya(folder, alpha), tmp_path / "kohya.safetensors")
    file = tmp_path / "kohya.safetensors"
    assert_same_changes(ours(folder, file, 0.8), theirs(folder, file, 0.8))


def test_the_names_of_2023_are_known(folder: Path, tmp_path: Path) -> None:
    down, up = torch.randn(2, 16), torch.randn(16, 2)
    old = {
        f"{ATTENTION}.processor.to_out_lora.down.weight": down,
        f"{ATTENTION}.processor.to_out_lora.up.weight": up,
    }
    save_file(old, tmp_path / "old.safetensors")
    changed = ours(folder, tmp_path / "old.safetensors")
    assert list(changed) == [f"unet.{ATTENTION}.to_out.0.weight"]
    torch.testing.assert_close(changed[f"unet.{ATTENTION}.to_out.0.weight"], up @ down, rtol=1e-4, atol=1e-5)


def test_layers_that_are_not_there_are_refused_by_name(folder: Path, tmp_path: Path) -> None:
    weights = kohya(folder)
    for part in ("lora_down", "lora_up"):
        weights[f"lora_unet_input_blocks_4_1_proj_in.{part}.weight"] = torch.ones(2, 2)
    save_file(weights, tmp_path / "strange.safetensors")
    with pytest.raises(ModelUnsupported, match=r"strange.*2 of its.*lora_unet_input_blocks_4_1_proj_in"):
        ours(folder, tmp_path / "strange.safetensors")


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        ("lora_unet_mid_block_resnets_0_conv1.hada_w1_a", "LoHa"),
        ("lora_unet_mid_block_resnets_0_conv1.lokr_w1", "LoKr"),
        ("lora_unet_mid_block_resnets_0_conv1.lora_mid.weight", "Tucker"),
        ("lora_unet_mid_block_resnets_0_conv1.oft_blocks", "OFT"),
        ("lora_unet_mid_block_resnets_0_conv1.diff", "full differences"),
        ("lora_unet_mid_block_resnets_0_conv1.a1.weight", "GLoRA"),
        ("lora_unet_mid_block_resnets_0_conv1.dora_scale", "DoRA"),
    ],
)
def test_other_adapters_are_refused_by_what_they_are(key: str, kind: str, folder: Path, tmp_path: Path) -> None:
    save_file(kohya(folder) | {key: torch.ones(2, 2)}, tmp_path / "other.safetensors")
    with pytest.raises(ModelUnsupported, match=f"other.safetensors is a .*{kind}"):
        ours(folder, tmp_path / "other.safetensors")


@pytest.mark.parametrize("shape", [(), (4,), (0, 2), (32, 0), (5, 5), (2, 2, 3, 3)])
def test_a_layer_of_another_shape_is_refused(shape: tuple[int, ...], folder: Path, tmp_path: Path) -> None:
    up = f"{ATTENTION}.to_q.lora_B.weight"
    save_file(
        {f"unet.{up}": torch.ones(shape), f"unet.{up.replace('_B', '_A')}": torch.ones(2, 16)},
        tmp_path / "odd.safetensors",
    )
    with pytest.raises(ModelUnsupported, match="does not fit"):
        ours(folder, tmp_path / "odd.safetensors")


def test_a_layer_of_several_alphas_is_refused(folder: Path, tmp_path: Path) -> None:
    weights = kohya(folder)
    weights[next(key for key in weights if key.endswith(".alpha"))] = torch.ones(2)
    save_file(weights, tmp_path / "odd.safetensors")
    with pytest.raises(ModelUnsupported, match="2 alphas"):
        ours(folder, tmp_path / "odd.safetensors")


def test_half_a_layer_is_refused(folder: Path, tmp_path: Path) -> None:
    weights = kohya(folder)
    weights.pop(next(key for key in weights if "lora_up" in key))
    save_file(weights, tmp_path / "half.safetensors")
    with pytest.raises(ModelUnsupported, match="not whole"):
        ours(folder, tmp_path / "half.safetensors")


@pytest.mark.parametrize(
    "metadata",
    [
        "{",
        "[1]",
        '{"unet.lora_alpha": 1' + "0" * 400 + "}",
        '{"unet.lora_alpha": "much"}',
        '{"unet.lora_alpha": 4, "unet.alpha_pattern": {"(a+)+$": 1}}',
    ],
)
def test_metadata_that_is_no_config_is_refused(metadata: str, folder: Path, tmp_path: Path) -> None:
    save_file(kohya(folder, None), tmp_path / "odd.safetensors", metadata={"lora_adapter_metadata": metadata})
    with pytest.raises(ModelUnsupported, match="metadata"):
        ours(folder, tmp_path / "odd.safetensors")


def test_metadata_imports_nothing(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # PEFT imports the module that `megatron_core` of a config names.
    (tmp_path / "evil.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    config = {"unet.r": 3, "unet.lora_alpha": 3, "unet.megatron_config": {}, "unet.megatron_core": "evil"}
    metadata = {"lora_adapter_metadata": json.dumps(config)}
    save_file(kohya(folder, None), tmp_path / "odd.safetensors", metadata=metadata)
    assert ours(folder, tmp_path / "odd.safetensors")
