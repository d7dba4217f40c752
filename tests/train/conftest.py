"""Tiny models and caches: real parts, small enough for a test."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from accelerate.state import AcceleratorState
from tests.data_factories import make_data

from retouch.train.config import TrainConfig
from retouch.train.latents import open_maps
from retouch.train.pocket.vae import build_vae
from retouch.train.text import encode_captions, write_tokenizer

CAPTIONS = ["a red apple", "a blue car", "face of a yellow cat", "a green tree, high resolution"]
CELLS, PIXELS = 8, 32

UNET: dict[str, Any] = {
    "sample_size": CELLS,
    "in_channels": 4,
    "out_channels": 4,
    "block_out_channels": [8, 16],
    "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D"],
    "up_block_types": ["CrossAttnUpBlock2D", "UpBlock2D"],
    "layers_per_block": 1,
    "norm_num_groups": 4,
    "attention_head_dim": 2,
    "cross_attention_dim": 16,
    "addition_embed_type": "text",
    "addition_embed_type_num_heads": 2,
    "resnet_time_scale_shift": "scale_shift",
}


@pytest.fixture(autouse=True)
def _own_accelerator() -> Iterator[None]:
    """Leave no precision to later runs, and take none: accelerate keeps it for a whole process. Use one thread."""
    AcceleratorState._reset_state(reset_partial_state=True)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
    AcceleratorState._reset_state(reset_partial_state=True)


@pytest.fixture
def unet_arguments() -> dict[str, Any]:
    return dict(UNET)


@pytest.fixture(scope="session")
def captions() -> list[str]:
    return CAPTIONS


@pytest.fixture(scope="session")
def tokenizer_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tokenizer")
    write_tokenizer(CAPTIONS, folder)
    return folder


@pytest.fixture(scope="session")
def vae_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("vae")
    torch.manual_seed(0)  # some weights magnify rounding more than tests allow for
    build_vae((16, 16, 16), size=PIXELS).save_pretrained(
        folder
    )  # two channels a group, or GroupNorm magnifies rounding
    return folder


@pytest.fixture(scope="session")
def cache_dir(tmp_path_factory: pytest.TempPathFactory, tokenizer_dir: Path) -> Path:
    """A latent cache of 24 random examples, every fourth one masked everywhere."""
    from transformers import CLIPTokenizer

    folder = tmp_path_factory.mktemp("latents")
    rng = np.random.default_rng(0)
    maps = open_maps(folder, mode="w+", slots=24, cells=CELLS, pixels=PIXELS)
    maps["posteriors"][:] = rng.normal(size=maps["posteriors"].shape)
    maps["posteriors"][:, :, 1] = 0.1
    masks = rng.random((24, PIXELS, PIXELS)) < 0.5
    masks[::4] = True
    maps["masks"][:] = np.packbits(masks.reshape(24, -1), axis=1)
    tokenizer = CLIPTokenizer.from_pretrained(tokenizer_dir)
    maps["tokens"][:] = encode_captions(tokenizer, [CAPTIONS[number % 4] for number in range(24)]).numpy()
    maps["filled"][:] = 24
    (folder / "cache.json").write_text(f'{{"size": {PIXELS}, "vae": ""}}')
    return folder


@pytest.fixture
def recipe(cache_dir: Path, tokenizer_dir: Path, vae_dir: Path) -> dict[str, Any]:
    """A two-phase recipe of a few tiny steps, as a YAML file would hold it."""
    data = {"kind": "latents", "folder": str(cache_dir), "size": PIXELS}
    phase = {"data": data, "steps": 3, "global_batch": 4, "micro_batch": 4, "learning_rate": 1e-3}
    return {
        "name": "tiny",
        "model": {
            "unet": UNET,
            "vae": str(vae_dir),
            "tokenizer": str(tokenizer_dir),
            "text": {"width": 16, "layers": 1, "heads": 2},
            "prediction_type": "v_prediction",
            "train_text_encoder": True,
        },
        "phases": [
            {"name": "first", "task": "text2image", **phase},
            {"name": "second", "task": "inpaint", **phase},
        ],
        "ema": {"decay": 0.9},
        "log": {"report_every_steps": 1, "tensorboard": False},
    }


@pytest.fixture
def config(recipe: dict[str, Any]) -> TrainConfig:
    return TrainConfig.model_validate(recipe)


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small data folder with real scenes."""
    return make_data(tmp_path_factory.mktemp("data"))
