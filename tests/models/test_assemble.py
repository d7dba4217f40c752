"""The facts of a bundle come from the configs, and parts that do not fit are refused."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from tests.factories import make_checkpoint, tiny_text_encoder, tiny_vae

from retouch.errors import ModelUnsupported
from retouch.models.assemble import assemble, check_fit, geometry, prediction_type
from retouch.models.bundle import ModelBundle
from retouch.models.devices import place
from retouch.models.folder import load_folder
from retouch.models.options import LoadOptions

OPTIONS = LoadOptions(device="cpu")


def bundle_of(folder: Path, options: LoadOptions = OPTIONS) -> ModelBundle:
    return assemble(load_folder(folder, options), place(options), name="tiny", path=folder)


@pytest.mark.parametrize(("vae_factor", "sample_size"), [(2, 16), (4, 8), (8, 8)])
def test_sizes_follow_from_the_configs(tmp_path: Path, vae_factor: int, sample_size: int) -> None:
    bundle = bundle_of(make_checkpoint(tmp_path, vae_factor=vae_factor, sample_size=sample_size))
    assert bundle.vae_factor == vae_factor
    assert bundle.native_size == vae_factor * sample_size
    assert bundle.size_multiple == 2 * vae_factor


@pytest.mark.parametrize(("in_channels", "kind"), [(9, "concat"), (4, "blend")])
def test_kind_follows_from_the_inputs(tmp_path: Path, in_channels: int, kind: str) -> None:
    assert bundle_of(make_checkpoint(tmp_path, in_channels=in_channels)).kind == kind


@pytest.mark.parametrize("in_channels", [3, 5, 8])
def test_other_inputs_are_unsupported(tmp_path: Path, in_channels: int) -> None:
    with pytest.raises(ModelUnsupported, match=f"{in_channels} channels"):
        bundle_of(make_checkpoint(tmp_path, in_channels=in_channels))


def test_conditioning_of_other_families_is_unsupported() -> None:
    unet = SimpleNamespace(in_channels=9, sample_size=64, block_out_channels=(1,), addition_embed_type="text_time")
    with pytest.raises(ModelUnsupported, match="addition_embed_type"):
        geometry(unet, SimpleNamespace(latent_channels=4, block_out_channels=(1, 1)))


def test_pooled_text_is_conditioning_that_every_prompt_brings() -> None:
    unet = SimpleNamespace(
        in_channels=9, sample_size=[8, 16], block_out_channels=(1, 1), addition_embed_type="text"
    )
    shape = geometry(unet, SimpleNamespace(latent_channels=4, block_out_channels=(1, 1, 1)))
    assert (shape.kind, shape.native_size, shape.size_multiple) == ("concat", 64, 8)


@pytest.mark.parametrize(
    ("sample_size", "vae_levels", "unet_levels"), [(129, 1, 2), (128, 5, 2), ([8, 1024], 3, 2), (8, 3, 6)]
)
def test_sizes_that_would_keep_a_machine_busy_are_refused(
    sample_size: int | list[int], vae_levels: int, unet_levels: int
) -> None:
    unet = SimpleNamespace(in_channels=9, sample_size=sample_size, block_out_channels=(4,) * unet_levels)
    vae = SimpleNamespace(latent_channels=4, block_out_channels=(4,) * vae_levels)
    with pytest.raises(ModelUnsupported, match="px"):
        geometry(unet, vae)


def test_parts_of_different_checkpoints_do_not_fit(tmp_path: Path) -> None:
    components = load_folder(make_checkpoint(tmp_path), OPTIONS)
    with pytest.raises(ModelUnsupported, match="channels"):
        check_fit(replace(components, vae=tiny_vae(latent_channels=8)))
    with pytest.raises(ModelUnsupported, match="tokens"):
        check_fit(replace(components, text_encoder=tiny_text_encoder(100)))
    components.unet.register_to_config(cross_attention_dim=64)
    with pytest.raises(ModelUnsupported, match="wide text"):
        check_fit(components)


def test_prediction_type_is_read_or_refused(tmp_path: Path) -> None:
    assert bundle_of(make_checkpoint(tmp_path, prediction_type="v_prediction")).prediction_type == "v_prediction"
    assert prediction_type({}) == "epsilon"
    with pytest.raises(ModelUnsupported, match="flow"):
        prediction_type({"prediction_type": "flow"})


def test_modules_are_ready_for_inference(tmp_path: Path) -> None:
    bundle = bundle_of(make_checkpoint(tmp_path))
    for module in (bundle.unet, bundle.vae, bundle.text_encoder):
        assert not module.training
        assert not any(weight.requires_grad for weight in module.parameters())
    assert bundle.unet.conv_in.weight.is_contiguous(memory_format=torch.channels_last)


def test_precisions_are_those_of_the_placement(tmp_path: Path) -> None:
    bundle = bundle_of(make_checkpoint(tmp_path), LoadOptions(device="cpu", dtype="bf16"))
    assert bundle.unet.dtype == bundle.text_encoder.dtype == bundle.dtype == torch.bfloat16
    assert bundle.vae.dtype == bundle.vae_dtype == torch.float32


def test_overwriting_the_files_does_not_touch_loaded_weights(tmp_path: Path) -> None:
    bundle = bundle_of(make_checkpoint(tmp_path))
    before = {name: weight.clone() for name, weight in bundle.unet.state_dict().items()}
    path = tmp_path / "unet" / "diffusion_pytorch_model.safetensors"
    path.write_bytes(b"\0" * path.stat().st_size)
    assert all(torch.equal(before[name], weight) for name, weight in bundle.unet.state_dict().items())
