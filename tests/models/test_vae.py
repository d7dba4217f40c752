"""A VAE of its own takes the place of the checkpoint's, whatever layout it comes in."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import AsymmetricAutoencoderKL, AutoencoderTiny
from safetensors.torch import load_file, save_file
from tests.factories import TINY_VAES, make_checkpoint
from tests.ldm import single_file_weights, write_single_file

from retouch.errors import ModelNotFound, ModelUnsafe, ModelUnsupported
from retouch.inpainter import Inpainter
from retouch.models.load import load_model
from retouch.models.options import LoadOptions
from retouch.models.registry import describe, list_models
from retouch.replay import remember, replay

PREFIX = "first_stage_model."


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A checkpoint, and another one whose VAE is wanted."""
    home = tmp_path_factory.mktemp("vaes")
    return make_checkpoint(home / "own"), make_checkpoint(home / "other", seed=1)


def weights_of(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "vae" / "diffusion_pytorch_model.safetensors")


def load(folder: Path, vae: Path, **options: Any) -> Any:
    return load_model(folder, LoadOptions(device="cpu", vae=vae, **options))


def as_ldm(folder: Path, path: Path, *, prefix: str = "") -> Path:
    ldm = {
        key.replace(PREFIX, prefix): tensor
        for key, tensor in single_file_weights(folder).items()
        if key.startswith(PREFIX)
    }
    save_file(ldm | {f"{prefix}loss.logvar": torch.zeros(1)}, path)
    return path


def as_ckpt(folder: Path, path: Path) -> Path:
    torch.save({"state_dict": load_file(as_ldm(folder, path.with_suffix(".safetensors")))}, path)
    return path


def with_old_names(folder: Path, path: Path) -> Path:
    """Write the names that diffusers had before 0.17, as in the files of the best-known VAEs."""
    old = {}
    for key, tensor in weights_of(folder).items():
        for new, name in (("to_q", "query"), ("to_k", "key"), ("to_v", "value"), ("to_out.0", "proj_attn")):
            key = key.replace(f"attentions.0.{new}", f"attentions.0.{name}")
        old[key] = tensor
    save_file(old, path)
    return path


def in_diffusers_names(folder: Path, path: Path) -> Path:
    save_file({key: tensor.half() for key, tensor in weights_of(folder).items()}, path)
    return path


@pytest.mark.parametrize(
    "written",
    [
        lambda other, _: other,
        lambda other, _: other / "vae",
        lambda other, _: other / "vae" / "diffusion_pytorch_model.safetensors",
        lambda other, path: as_ldm(other, path / "mse.safetensors"),
        lambda other, path: as_ldm(other, path / "mse.safetensors", prefix=PREFIX),
        lambda other, path: write_single_file(other, path / "whole.safetensors"),
        lambda other, path: as_ckpt(other, path / "mse.ckpt"),
        lambda other, path: with_old_names(other, path / "mse.safetensors"),
        lambda other, path: in_diffusers_names(other, path / "mse.safetensors"),
    ],
)
def test_every_layout_gives_the_same_vae(
    written: Callable[[Path, Path], Path], folders: tuple[Path, Path], tmp_path: Path
) -> None:
    own, other = folders
    bundle = load(own, written(other, tmp_path), allow_pickle=True)
    for name, tensor in weights_of(other).items():
        torch.testing.assert_close(bundle.vae.state_dict()[name], tensor, rtol=1e-3, atol=1e-3)
    assert torch.equal(bundle.unet.conv_in.weight, load_model(own).unet.conv_in.weight)


def test_it_is_recorded_with_its_hash_and_missed_by_a_replay(folders: tuple[Path, Path], tmp_path: Path) -> None:
    own, other = folders
    image, mask = np.zeros((32, 32, 3), np.uint8), np.full((32, 32), 255, np.uint8)
    mask[:8] = 0
    with Inpainter.load(own, vae=other / "vae") as with_other:
        with_other("a cat", image, mask, num_inference_steps=1, seed=1).save(tmp_path / "out.png")
        (label,) = with_other.bundle.adapters
        assert label.startswith("vae=vae@")
        assert replay(remember(tmp_path / "out.png"), with_other).is_identical
    with Inpainter.load(own) as with_own:
        replayed = replay(remember(tmp_path / "out.png"), with_own)
    assert not replayed.is_identical
    assert any(label in note for note in replayed.notes)


def test_a_pruned_file_needs_one_and_says_so(folders: tuple[Path, Path], tmp_path: Path) -> None:
    own, other = folders
    pruned = {key: tensor for key, tensor in single_file_weights(own).items() if not key.startswith(PREFIX)}
    save_file(pruned, tmp_path / "pruned.safetensors")
    with pytest.raises(ModelUnsupported, match=r"pruned.safetensors has no VAE") as error:
        load_model(tmp_path / "pruned.safetensors", LoadOptions(config_from=own))
    assert "--vae" in error.value.hint
    bundle = load(tmp_path / "pruned.safetensors", as_ldm(other, tmp_path / "mse.safetensors"), config_from=own)
    for name, tensor in weights_of(other).items():
        assert torch.equal(bundle.vae.state_dict()[name], tensor)


@pytest.mark.parametrize(("kind", "cls"), [("asymmetric", AsymmetricAutoencoderKL), ("tiny", AutoencoderTiny)])
def test_other_classes_are_known_by_their_config(
    kind: str, cls: type, folders: tuple[Path, Path], tmp_path: Path
) -> None:
    TINY_VAES[kind]().save_pretrained(tmp_path / "vae")
    bundle = load(folders[0], tmp_path / "vae")
    assert type(bundle.vae) is cls
    assert (bundle.vae_factor, bundle.native_size) == (4, 32)
    whole = make_checkpoint(tmp_path / "whole", vae=kind)
    assert type(load_model(whole).vae) is cls
    assert describe(whole).native_size == 32
    config = whole / "vae" / "config.json"
    told = json.loads(config.read_text())
    config.write_text(json.dumps({key: told[key] for key in told if key != "block_out_channels"}))
    assert describe(whole).native_size == load_model(whole).native_size == 32
    assert [entry.native_size for entry in list_models([whole])[0] if entry.path == whole] == [32]


def test_what_is_no_vae_of_this_shape_is_refused(folders: tuple[Path, Path], tmp_path: Path) -> None:
    own, _ = folders
    wide = make_checkpoint(tmp_path / "wide", vae_factor=8)
    with pytest.raises(ModelUnsupported, match=r"mse\.safetensors is no VAE of the checkpoint's shape"):
        load(own, as_ldm(wide, tmp_path / "mse.safetensors"))
    save_file({"a": torch.ones(1)}, tmp_path / "other.safetensors")
    with pytest.raises(ModelUnsupported, match="is no VAE of"):
        load(own, tmp_path / "other.safetensors")
    deep = make_checkpoint(tmp_path / "deep", latent_channels=8, in_channels=17)
    with pytest.raises(ModelUnsupported, match="channels"):
        load(own, deep / "vae")
    (tmp_path / "vae").mkdir()
    (tmp_path / "vae" / "config.json").write_text('{"_class_name": "ConsistencyDecoderVAE"}')
    save_file({"a": torch.ones(1)}, tmp_path / "vae" / "diffusion_pytorch_model.safetensors")
    with pytest.raises(ModelUnsupported, match="ConsistencyDecoderVAE"):
        load(own, tmp_path / "vae")


def test_what_is_not_there_or_not_allowed_is_said(folders: tuple[Path, Path], tmp_path: Path) -> None:
    own, other = folders
    with pytest.raises(ModelNotFound, match="no VAE at"):
        load(own, tmp_path / "missing.safetensors")
    with pytest.raises(ModelNotFound, match="no VAE in"):
        load(own, tmp_path)
    with pytest.raises(ModelUnsafe, match="pickle"):
        load(own, as_ckpt(other, tmp_path / "mse.ckpt"))
