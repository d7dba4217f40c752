"""Single files of the original layout give the same components as the diffusers folder they come from."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import save_file
from tests.factories import make_checkpoint
from tests.ldm import single_file_weights, write_single_file
from tests.memory import grows_less_than, needs_proc

from retouch.errors import ModelError, ModelUnsafe, ModelUnsupported
from retouch.models.folder import load_folder
from retouch.models.layout import read_json
from retouch.models.load import load_model
from retouch.models.options import LoadOptions
from retouch.models.single_file import CONV_IN, detect_family, load_single_file, predicts_noise


def states_equal(first: torch.nn.Module, second: torch.nn.Module) -> bool:
    ours, theirs = first.state_dict(), second.state_dict()
    return ours.keys() == theirs.keys() and all(torch.equal(ours[key], theirs[key]) for key in ours)


@pytest.mark.parametrize("open_clip", [False, True])
def test_file_gives_the_weights_of_its_folder(tmp_path: Path, open_clip: bool) -> None:
    folder = make_checkpoint(tmp_path / "folder")
    path = write_single_file(folder, tmp_path / "model.safetensors", open_clip=open_clip)
    ours = load_single_file(path, LoadOptions(config_from=folder))
    theirs = load_folder(folder, LoadOptions())
    assert states_equal(ours.unet, theirs.unet)
    assert states_equal(ours.vae, theirs.vae)
    assert states_equal(ours.text_encoder, theirs.text_encoder)
    assert ours.scheduler_config == theirs.scheduler_config


def test_half_precision_file_is_loaded_in_float32(tmp_path: Path) -> None:
    folder = make_checkpoint(tmp_path / "folder")
    half = {
        key: tensor.half() for key, tensor in single_file_weights(folder).items() if tensor.is_floating_point()
    }
    save_file(half, tmp_path / "half.safetensors")
    components = load_single_file(tmp_path / "half.safetensors", LoadOptions(config_from=folder))
    assert {weight.dtype for weight in components.unet.parameters()} == {torch.float32}


def test_upper_case_suffix_changes_nothing(tmp_path: Path) -> None:
    folder = make_checkpoint(tmp_path / "folder")
    path = write_single_file(folder, tmp_path / "MODEL.SAFETENSORS")
    assert load_single_file(path, LoadOptions(config_from=folder)).unet.config.in_channels == 9


def test_inputs_are_read_from_the_file_not_from_the_config(tmp_path: Path) -> None:
    blend = make_checkpoint(tmp_path / "blend", in_channels=4)
    concat = make_checkpoint(tmp_path / "concat", in_channels=9)
    path = write_single_file(concat, tmp_path / "model.safetensors")
    assert load_single_file(path, LoadOptions(config_from=blend)).unet.config.in_channels == 9


def test_checkpoint_needs_leave_and_gives_the_same_weights(tmp_path: Path) -> None:
    folder = make_checkpoint(tmp_path / "folder")
    path = tmp_path / "model.ckpt"
    torch.save({"state_dict": single_file_weights(folder), "global_step": 1}, path)
    with pytest.raises(ModelUnsafe, match="pickle"):
        load_single_file(path, LoadOptions(config_from=folder))
    loaded = load_single_file(path, LoadOptions(config_from=folder, allow_pickle=True))
    assert states_equal(loaded.unet, load_folder(folder, LoadOptions()).unet)


def test_missing_weights_are_named(tmp_path: Path) -> None:
    folder = make_checkpoint(tmp_path / "folder")
    weights = single_file_weights(folder)
    del weights["first_stage_model.decoder.conv_out.weight"]
    save_file(weights, tmp_path / "model.safetensors")
    with pytest.raises(ModelError, match="vae"):
        load_single_file(tmp_path / "model.safetensors", LoadOptions(config_from=folder))


def test_other_shapes_than_the_config_are_an_error(tmp_path: Path) -> None:
    path = write_single_file(make_checkpoint(tmp_path / "folder"), tmp_path / "model.safetensors")
    with pytest.raises(ModelError, match="does not fit"):
        load_single_file(path, LoadOptions())  # the packaged configs are those of full-size models


@needs_proc
@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("text_encoder", {"num_hidden_layers": 64, "intermediate_size": 16384, "vocab_size": 1_000_000}),
        ("unet", {"layers_per_block": 64, "transformer_layers_per_block": 64}),
        ("unet", {"layers_per_block": [1, 1]}),  # diffusers' converter knows whole numbers only
        ("unet", {"norm_num_groups": 0}),
        ("vae", {"down_block_types": ["DownEncoderBlock2D"] * 16}),
        ("vae", {"latent_channels": "abc"}),
    ],
)
def test_configs_beside_the_file_are_bounded_by_its_weights(
    tmp_path: Path, name: str, values: dict[str, object]
) -> None:
    folder = make_checkpoint(tmp_path / "model")
    path = write_single_file(folder, tmp_path / "model.safetensors")
    load_single_file(path, LoadOptions())  # imports are no part of it
    config = folder / name / "config.json"
    config.write_text(json.dumps({**read_json(config), **values}))
    with grows_less_than(100), pytest.raises(ModelError):
        load_single_file(path, LoadOptions())


def test_weights_of_odd_shapes_are_an_error_of_ours(tmp_path: Path) -> None:
    folder = make_checkpoint(tmp_path / "folder")
    for name, tensor in single_file_weights(folder, open_clip=True).items():
        if name.endswith(("in_proj_weight", "input_blocks.0.0.weight", "attn_1.q.weight")):
            weights = single_file_weights(folder, open_clip=True) | {name: tensor.flatten()[:1]}
            save_file(weights, tmp_path / "model.safetensors")
            with pytest.raises(ModelError):
                load_model(tmp_path / "model.safetensors", LoadOptions(device="cpu", config_from=folder))


@pytest.mark.parametrize(
    ("keys", "what"),
    [
        (("conditioner.embedders.0.weight", CONV_IN), "XL"),
        (("lora_unet_down_blocks.lora_up.weight",), "LoRA|checkpoint"),
        (("down_blocks.0.weight",), "checkpoint"),
        ((CONV_IN,), "text encoder"),
    ],
)
def test_other_families_are_refused_by_name(keys: tuple[str, ...], what: str) -> None:
    with pytest.raises(ModelUnsupported, match=what):
        detect_family({key: torch.zeros(1) for key in keys}, "file")


class Answers(torch.nn.Module):
    """A UNet in outline that answers with a share of its input and a share of something else."""

    config = SimpleNamespace(in_channels=4, cross_attention_dim=8)

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def forward(self, sample: torch.Tensor, timestep: int, text: torch.Tensor) -> SimpleNamespace:
        picture = torch.linspace(-1, 1, 32).expand_as(sample)
        return SimpleNamespace(sample=self.share * sample - (1 - self.share) * picture)


@pytest.mark.parametrize(("share", "is_noise"), [(0.98, True), (0.9, True), (0.07, False), (0.0, False)])
def test_noise_is_told_from_velocity_by_the_answer_to_pure_noise(share: float, is_noise: bool) -> None:
    assert predicts_noise(Answers(share)) is is_noise


def test_prediction_type_of_the_options_wins(tmp_path: Path) -> None:
    folder = make_checkpoint(tmp_path / "folder", in_channels=4)
    path = write_single_file(folder, tmp_path / "model.safetensors", open_clip=True)
    told = load_single_file(path, LoadOptions(config_from=folder, prediction_type="v_prediction"))
    assert told.scheduler_config["prediction_type"] == "v_prediction"


def test_configs_beside_the_file_are_used(tmp_path: Path) -> None:
    folder = make_checkpoint(tmp_path / "model", prediction_type="v_prediction")
    components = load_single_file(write_single_file(folder, tmp_path / "model.safetensors"), LoadOptions())
    assert components.scheduler_config["prediction_type"] == "v_prediction"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("family", "unet_millions", "text_millions"),
    [("sd1", 859_520_964, 123_060_480), ("sd2", 865_910_724, 340_387_840)],
)
def test_packaged_configs_have_the_published_sizes(family: str, unet_millions: int, text_millions: int) -> None:
    """The counts are those of the published 4-channel checkpoints; models are built without memory."""
    from accelerate import init_empty_weights
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel

    import retouch.models.single_file as module

    home = Path(module.__file__).parent / "configs" / family
    with init_empty_weights():
        unet = UNet2DConditionModel.from_config(read_json(home / "unet" / "config.json"))
        vae = AutoencoderKL.from_config(read_json(home / "vae" / "config.json"))
        text = CLIPTextModel(CLIPTextConfig(**read_json(home / "text_encoder" / "config.json")))
    counts = [sum(weight.numel() for weight in model.parameters()) for model in (unet, vae, text)]
    assert counts == [unet_millions, 83_653_863, text_millions]
