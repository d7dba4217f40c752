"""What a run starts from keeps what its makers said of it, from loading to export."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import AutoencoderTiny, StableDiffusionInpaintPipeline
from safetensors.torch import load_file
from tests.factories import make_checkpoint
from tests.train.conftest import CAPTIONS

from retouch.errors import InvalidField, ModelError, ModelNotFound, ModelUnsafe, ModelUnsupported
from retouch.models.bundle import Recommended
from retouch.models.components import Notes, read_notes, write_notes
from retouch.models.load import load_model
from retouch.models.options import LoadOptions
from retouch.train.config import ExportConfig, ModelConfig, TextConfig, TrainConfig
from retouch.train.denoiser import build_denoiser
from retouch.train.ema import trained_parameters
from retouch.train.export import write_folder
from retouch.train.origin import describe_model, load_origin
from retouch.train.run import RunOptions, start

CPU = LoadOptions(device="cpu")
NOTES = Notes(Recommended(12, 4.0, "PNDMScheduler", 0.2, 20, "harmonic"), frozenset({"cat"}), "MIT")


def scheduler_of(folder: Path) -> dict[str, Any]:
    tree: dict[str, Any] = json.loads((folder / "scheduler" / "scheduler_config.json").read_text())
    return tree


@pytest.fixture
def released(tmp_path: Path) -> Path:
    """A v-prediction checkpoint with a PNDM scheduler, a safety checker and notes."""
    folder = make_checkpoint(
        tmp_path / "released", prediction_type="v_prediction", scheduler="PNDM", safety_checker=True
    )
    write_notes(folder, NOTES)
    return folder


def reexport(model: ModelConfig, out: Path, export: ExportConfig | None = None) -> Path:
    origin = load_origin(model, export or ExportConfig())
    build_denoiser(model, origin)
    write_folder(origin, out)
    return out


def test_a_run_from_a_v_prediction_checkpoint_trains_v_without_being_told(
    released: Path, recipe: dict[str, Any], tmp_path: Path
) -> None:
    recipe["model"] = {"pretrained": str(released)}
    trainer, _ = start(RunOptions(TrainConfig.model_validate(recipe), tmp_path / "run", cpu=True))
    assert trainer.denoiser.predicts == "v_prediction"


def test_a_configuration_that_contradicts_the_checkpoint_is_refused(released: Path) -> None:
    with pytest.raises(InvalidField, match=r"epsilon.*v_prediction"):
        load_origin(ModelConfig(pretrained=str(released), prediction_type="epsilon"))
    assert load_origin(ModelConfig(pretrained=str(released), prediction_type="v_prediction"))


def test_a_text_encoder_that_learnt_more_takes_the_checkpoints_place(released: Path, tmp_path: Path) -> None:
    model = ModelConfig(pretrained=str(released))
    taught = load_origin(model).text_encoder
    with torch.no_grad():
        next(taught.parameters()).add_(1.0)
    taught.save_pretrained(tmp_path / "text")
    with_it = model.model_copy(update={"text": TextConfig(pretrained=str(tmp_path / "text"))})
    found = load_origin(with_it, ExportConfig(variants=("", "drawing", "", "another one")))
    for name, weights in taught.state_dict().items():
        assert torch.equal(found.text_encoder.state_dict()[name], weights)
    assert found.notes.vocabulary == {"cat", "drawing", "another", "one"}
    assert describe_model(with_it, found) != describe_model(model, load_origin(model))


def test_an_export_can_take_back_what_the_checkpoint_said_of_seeds_and_removal(
    released: Path, tmp_path: Path
) -> None:
    said = Recommended(variants=("", "red"), variants_of=("hat",), removal_prompts=("nothing",))
    write_notes(released, Notes(recommended=said))
    model = ModelConfig(pretrained=str(released))
    write_notes(tmp_path, load_origin(model, ExportConfig(variants=(), removal_prompts=())).notes)
    assert read_notes(tmp_path).recommended == replace(said, variants=(), removal_prompts=())


@pytest.mark.parametrize("lora", [None, {"rank": 2}])
def test_export_keeps_what_the_checkpoint_was(released: Path, tmp_path: Path, lora: dict[str, Any] | None) -> None:
    model = ModelConfig.model_validate({"pretrained": str(released), "lora": lora})
    out = reexport(model, tmp_path / "out")
    assert scheduler_of(out) == scheduler_of(released)
    assert read_notes(out) == NOTES
    before, after = load_model(released, CPU), load_model(out, CPU)
    assert after.prediction_type == "v_prediction"
    for ours, theirs in zip(
        after.safety_checker.state_dict().values(), before.safety_checker.state_dict().values(), strict=True
    ):
        assert torch.equal(ours, theirs)
    stock = StableDiffusionInpaintPipeline.from_pretrained(out)
    assert type(stock.scheduler).__name__ == "PNDMScheduler"
    assert stock.safety_checker is not None


def test_export_says_what_the_configuration_says_and_the_rest_as_before(released: Path, tmp_path: Path) -> None:
    export = ExportConfig(guidance_scale=2.5, licence="CC0-1.0")
    notes = read_notes(reexport(ModelConfig(pretrained=str(released)), tmp_path / "out", export))
    assert notes.recommended == Recommended(12, 2.5, "PNDMScheduler", 0.2, 20, "harmonic")
    assert notes.licence == "CC0-1.0"


def test_a_checkpoint_without_advice_is_exported_without_any(tmp_path: Path) -> None:
    folder = make_checkpoint(tmp_path / "plain")
    assert read_notes(reexport(ModelConfig(pretrained=str(folder)), tmp_path / "out")) == Notes()


def test_the_embedded_model_is_a_checkpoint_like_any_other() -> None:
    origin = load_origin(ModelConfig(pretrained="pocket"))
    assert origin.scheduler_config["prediction_type"] == "v_prediction"
    assert origin.notes.recommended.context is not None
    assert origin.notes.vocabulary


def test_weights_are_those_of_the_folder_in_fp32_and_off_its_files(released: Path) -> None:
    origin = load_origin(ModelConfig(pretrained=str(released)))
    wanted = StableDiffusionInpaintPipeline.from_pretrained(released).unet.conv_in.weight.clone()
    (released / "unet" / "diffusion_pytorch_model.safetensors").write_bytes(b"")
    assert torch.equal(origin.unet.conv_in.weight, wanted)
    assert not any(parameter.requires_grad for parameter in origin.vae.parameters())


def test_what_is_no_whole_checkpoint_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound):
        load_origin(ModelConfig(pretrained=str(tmp_path / "nothing")))
    folder = make_checkpoint(tmp_path / "broken")
    (folder / "vae" / "diffusion_pytorch_model.safetensors").unlink()
    with pytest.raises(ModelError):
        load_origin(ModelConfig(pretrained=str(folder)))


def test_what_cannot_be_trained_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ModelUnsupported, match="sample"):
        load_origin(ModelConfig(pretrained=str(make_checkpoint(tmp_path / "x0", prediction_type="sample"))))
    wide = make_checkpoint(tmp_path / "wide", latent_channels=8, in_channels=17)
    with pytest.raises(ModelUnsupported, match="channels"):
        load_origin(ModelConfig(pretrained=str(wide)))
    with pytest.raises(ModelUnsupported, match=AutoencoderTiny.__name__):
        load_origin(ModelConfig(pretrained=str(make_checkpoint(tmp_path / "tiny", vae="tiny"))))


def test_a_text_encoder_that_is_trained_takes_gradients(released: Path) -> None:
    model = ModelConfig(pretrained=str(released), train_text_encoder=True)
    assert any(
        name.startswith("text_encoder.") for name in trained_parameters(build_denoiser(model, load_origin(model)))
    )


def test_pickled_weights_are_read_where_that_is_allowed(released: Path) -> None:
    home = released / "unet"
    weights = load_file(home / "diffusion_pytorch_model.safetensors")
    torch.save(weights, home / "diffusion_pytorch_model.bin")
    (home / "diffusion_pytorch_model.safetensors").unlink()
    with pytest.raises(ModelUnsafe):
        load_origin(ModelConfig(pretrained=str(released)))
    origin = load_origin(ModelConfig(pretrained=str(released), allow_pickle=True))
    assert torch.equal(origin.unet.conv_in.weight, weights["conv_in.weight"])


def test_another_vae_takes_the_place_of_the_checkpoints_own(released: Path, tmp_path: Path) -> None:
    other = make_checkpoint(tmp_path / "other", seed=1)
    origin = load_origin(ModelConfig(pretrained=str(released), vae=str(other / "vae")))
    wanted = StableDiffusionInpaintPipeline.from_pretrained(other).vae
    assert torch.equal(origin.vae.encoder.conv_in.weight, wanted.encoder.conv_in.weight)


def test_a_fresh_model_knows_the_words_of_its_tokenizer_and_no_pieces_of_them(config: TrainConfig) -> None:
    words = load_origin(config.model).notes.vocabulary
    assert words is not None
    assert {"apple", "yellow", "cat", "a"} <= words
    assert words <= {word for caption in CAPTIONS for word in caption.replace(",", " ").split()}


def test_a_fresh_model_predicts_what_the_configuration_says(config: TrainConfig) -> None:
    assert load_origin(config.model).scheduler_config["prediction_type"] == "v_prediction"
    silent = config.model.model_copy(update={"prediction_type": None})
    assert load_origin(silent).scheduler_config["prediction_type"] == "epsilon"
