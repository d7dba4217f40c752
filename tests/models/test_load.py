"""Loading by name gives a bundle that works, from every kind of source."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from diffusers import StableDiffusionInpaintPipeline
from tests.factories import WORDS, make_checkpoint
from tests.ldm import write_single_file

from retouch.errors import ModelError, ModelNotFound
from retouch.models.bundle import Recommended
from retouch.models.components import Notes, write_notes
from retouch.models.load import load_components, load_model
from retouch.models.options import LoadOptions

CPU = LoadOptions(device="cpu")


def test_folder_gives_diffusers_own_numbers(tmp_path: Path) -> None:
    bundle = load_model(make_checkpoint(tmp_path), CPU)
    stock = StableDiffusionInpaintPipeline.from_pretrained(tmp_path)
    inputs = torch.randn(1, 9, 8, 8, generator=torch.Generator().manual_seed(0))
    ids = bundle.tokenizer("a red apple", padding="max_length", return_tensors="pt").input_ids
    with torch.inference_mode():
        ours = bundle.unet(inputs, 10, bundle.text_encoder(ids)[0]).sample
        theirs = stock.unet(inputs, 10, stock.text_encoder(ids)[0]).sample
    assert torch.allclose(ours, theirs, atol=1e-5)


def test_file_and_folder_give_the_same_bundle(tmp_path: Path) -> None:
    folder = make_checkpoint(tmp_path / "folder")
    path = write_single_file(folder, tmp_path / "model.safetensors")
    from_file = load_model(path, LoadOptions(device="cpu", config_from=folder))
    from_folder = load_model(folder, CPU)
    assert (from_file.kind, from_file.native_size) == (from_folder.kind, from_folder.native_size)
    assert torch.allclose(from_file.preview_matrix(), from_folder.preview_matrix(), atol=1e-4)
    assert from_file.path == path


def test_notes_of_the_makers_reach_the_bundle(tmp_path: Path) -> None:
    make_checkpoint(tmp_path)
    write_notes(tmp_path, Notes(Recommended(12, 4.0), frozenset({"cat"}), "MIT"))
    bundle = load_model(tmp_path, CPU)
    assert bundle.recommended.num_inference_steps == 12
    assert bundle.vocabulary == {"cat"}
    assert bundle.licence == "MIT"


def test_nothing_there_is_said_before_anything_is_loaded(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound):
        load_model(tmp_path / "nothing", CPU)


def test_offloaded_bundle_works(tmp_path: Path) -> None:
    bundle = load_model(make_checkpoint(tmp_path), LoadOptions(device="cpu", offload=True))
    with torch.inference_mode():
        latents = bundle.vae.encode(torch.zeros(1, 3, 16, 16)).latent_dist.mean
    assert latents.shape == (1, 4, 4, 4)


@pytest.mark.parametrize("limit", [None, 9999])
def test_prompts_are_cut_where_the_text_encoder_ends_whatever_the_tokenizer_says(
    tmp_path: Path, limit: int | None
) -> None:
    path = make_checkpoint(tmp_path, max_tokens=16) / "tokenizer" / "tokenizer_config.json"
    config = json.loads(path.read_text())
    del config["model_max_length"]
    path.write_text(json.dumps(config if limit is None else {**config, "model_max_length": limit}))
    assert load_model(tmp_path, CPU).tokenizer.model_max_length == 16


def test_parts_to_train_are_those_of_the_bundle_with_what_the_makers_say(tmp_path: Path) -> None:
    folder = make_checkpoint(tmp_path, prediction_type="v_prediction", scheduler="PNDM", safety_checker=True)
    write_notes(tmp_path, Notes(Recommended(12, 4.0), frozenset({"cat"}), "MIT"))
    parts, bundle = load_components(folder), load_model(folder, CPU)
    for name in ("unet", "vae", "text_encoder", "safety_checker"):
        for ours, theirs in zip(
            getattr(parts, name).state_dict().values(), getattr(bundle, name).state_dict().values(), strict=True
        ):
            assert torch.equal(ours, theirs)
    assert parts.scheduler_config == bundle.scheduler_config
    assert parts.notes.licence == "MIT"
    assert next(parts.unet.parameters()).dtype == torch.float32


def test_parts_that_were_not_made_for_each_other_are_no_checkpoint(tmp_path: Path) -> None:
    folder = make_checkpoint(tmp_path / "one")
    other = make_checkpoint(tmp_path / "other", words=("a", "much", "longer", "list", "of", "words"), max_tokens=8)
    shutil.rmtree(folder / "tokenizer")
    vocabulary = make_checkpoint(tmp_path / "third", words=(*WORDS, "zebra", "quagga")) / "tokenizer"
    shutil.copytree(vocabulary, folder / "tokenizer")
    with pytest.raises(ModelError):
        load_components(folder)
    assert load_components(other).tokenizer.model_max_length == 8
