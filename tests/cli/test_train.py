"""`retouch train`, run in-process as a user types it."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from retouch.cli.train import app
from retouch.train.config import TrainConfig


def invoke(*arguments: object) -> str:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tests.data_factories import make_data

    return make_data(tmp_path_factory.mktemp("data"))


@pytest.mark.slow
def test_commands_lead_from_a_data_folder_to_a_trained_checkpoint(data_dir: Path, tmp_path: Path) -> None:
    import yaml

    from retouch.train.pocket.vae import build_vae

    tokenizer, vae, latents = tmp_path / "tokenizer", tmp_path / "vae", tmp_path / "latents"
    build_vae((8, 8, 16)).save_pretrained(vae)
    invoke("tokenizer", "--data-dir", data_dir, "--output", tokenizer)
    common = ("--data-dir", data_dir, "--vae-dir", vae, "--tokenizer-dir", tokenizer)
    text = tmp_path / "text"
    invoke("text", *common, "--output", text, "--steps", 1)
    invoke("latents", *common, "--output", latents, "--slots", 16, "--size", 32)
    assert np.load(latents / "filled.npy")[0] == 16
    recipe = Path(__file__).parents[2] / "configs" / "pocket.yaml"
    sizes = {"steps": 1, "global_batch": 2, "micro_batch": 2, "data": {"kind": "latents", "folder": str(latents)}}
    tree = yaml.safe_load(recipe.read_text())
    settings = {
        f"phases.{index}.{key}": value for index in range(len(tree["phases"])) for key, value in sizes.items()
    }
    settings |= {"model.vae": str(vae), "model.tokenizer": str(tokenizer), "log.publish": str(tmp_path / "latest")}
    settings |= {"model.text.pretrained": str(text)}
    settings |= {"model.unet.block_out_channels": [8, 8, 64, 64], "log.prompts": [], "log.tensorboard": False}
    sets = [part for key, value in settings.items() for part in ("--set", f"{key}={json.dumps(value)}")]
    invoke("run", recipe, "--run-dir", tmp_path / "run", "--cpu", *sets)
    assert (tmp_path / "latest" / "model_index.json").exists()


def test_latents_are_cached_where_and_from_what_is_asked(data_dir: Path, tmp_path: Path) -> None:
    import torch
    from tests.factories import tiny_tokenizer

    from retouch.train.pocket.vae import build_vae

    vae, tokenizer, threads = tmp_path / "vae", tmp_path / "tokenizer", torch.get_num_threads()
    build_vae((8, 8, 16)).save_pretrained(vae, safe_serialization=False)
    tiny_tokenizer(tokenizer)
    common = ("--data-dir", data_dir, "--vae-dir", vae, "--tokenizer-dir", tokenizer, "--output", tmp_path / "out")
    try:
        invoke(
            "latents", *common, "--slots", 16, "--size", 32, "--device", "cpu", "--threads", 1, "--allow-pickle"
        )
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(threads)
    assert json.loads((tmp_path / "out" / "cache.json").read_text())["device"] == "cpu"


def test_a_checkpoints_decoder_is_widened(data_dir: Path, tmp_path: Path) -> None:
    import torch
    from tests.factories import make_checkpoint

    from retouch.models.vae import load_vae
    from retouch.train.pocket.vae import build_vae

    model = make_checkpoint(tmp_path / "model")
    torch.manual_seed(0)
    build_vae((8, 8, 8, 8), size=64).save_pretrained(model / "vae")
    run = ("--run-dir", tmp_path / "run", "--painted", 2, "--widths", "8-16-32-32")
    invoke("decoder", "--model", model, "--data-dir", data_dir, *run, "--steps", 1, "--batch", 4, "--crop", 32)
    vae = load_vae(tmp_path / "run" / "model")
    assert list(vae.config.up_block_out_channels) == [8, 16, 32, 32]


def test_help_names_every_step() -> None:
    output = invoke("--help")
    assert all(name in output for name in ("run", "tokenizer", "vae", "decoder", "text", "latents"))


def test_set_without_a_value_is_a_usage_error(tmp_path: Path) -> None:
    config = Path(__file__).parents[2] / "configs" / "pocket.yaml"
    result = CliRunner().invoke(app, ["run", str(config), "--run-dir", str(tmp_path), "--set", "seed"])
    assert result.exit_code == 2


def test_shipped_recipe_is_read_by_the_command() -> None:
    from retouch.train.config import load_config

    assert isinstance(load_config(Path(__file__).parents[2] / "configs" / "pocket.yaml"), TrainConfig)
