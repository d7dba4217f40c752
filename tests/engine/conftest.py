"""Tiny random checkpoints, loaded twice from one folder: as diffusers' pipeline and as a bundle."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import StableDiffusionInpaintPipeline
from tests.factories import make_checkpoint

from retouch.engine.engine import Engine
from retouch.engine.layers.tuning import Tuning
from retouch.engine.plan import Plan
from retouch.engine.settings import EngineSettings
from retouch.engine.ticket import Denoised
from retouch.engine.tune import tuned
from retouch.models.bundle import ModelBundle

PROMPTS = ("a red apple", "a green hat", "a blue dog on the bench", "the park", "a yellow cat")


class Checkpoint:
    """A folder, loaded as a pipeline once, and as a bundle with components of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.pipe = self._load()
        self.scheduler_config = self.pipe.scheduler.config
        self._components = self._load()

    def bundle(self, **changes: Any) -> ModelBundle:
        return bundle_of(self._components, self.folder, **changes)

    def _load(self) -> StableDiffusionInpaintPipeline:
        pipe = StableDiffusionInpaintPipeline.from_pretrained(self.folder)
        pipe.set_progress_bar_config(disable=True)
        return pipe


def bundle_of(pipe: StableDiffusionInpaintPipeline, folder: Path, **changes: Any) -> ModelBundle:
    """Read a bundle's facts off a tiny pipeline; `changes` replace some."""
    config = pipe.scheduler.load_config(folder, subfolder="scheduler")
    factor = 2 ** (len(pipe.vae.config.block_out_channels) - 1)
    facts: dict[str, Any] = {
        "name": "tiny",
        "path": folder,
        "unet": pipe.unet.eval(),
        "vae": pipe.vae.eval(),
        "text_encoder": pipe.text_encoder.eval(),
        "tokenizer": pipe.tokenizer,
        "kind": "concat" if pipe.unet.config.in_channels == 9 else "blend",
        "latent_channels": 4,
        "vae_factor": factor,
        "native_size": 32,
        "size_multiple": 2 * factor,
        "scaling_factor": pipe.vae.config.scaling_factor,
        "shift_factor": 0.0,
        "prediction_type": config["prediction_type"],
        "scheduler_class": config["_class_name"],
        "scheduler_config": config,
        "preview_matrix": lambda: torch.eye(5, 3),
        "content_hash": "0" * 64,
        "device": torch.device("cpu"),
        "dtype": torch.float32,
        "vae_dtype": torch.float32,
        "row_cap": 16,
        "row_knee": 8,
    }
    return ModelBundle(**{**facts, **changes})


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> Iterator[None]:
    """Tiny calls are over before a second thread wakes up; on a busy machine they would wait for it."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Checkpoint]:
    """Make a tiny checkpoint by its traits, each combination once."""

    @cache
    def make(
        *, in_channels: int = 9, prediction_type: str = "epsilon", scheduler: str = "DDIM", vae: str = "kl"
    ) -> Checkpoint:
        folder = tmp_path_factory.mktemp("tiny")
        make_checkpoint(
            folder, in_channels=in_channels, prediction_type=prediction_type, scheduler=scheduler, vae=vae
        )
        return Checkpoint(folder)

    return make


@pytest.fixture(scope="session")
def bundle(checkpoint: Callable[..., Checkpoint]) -> ModelBundle:
    """The usual tiny bundle: 9 channels, epsilon, DDIM."""
    return checkpoint().bundle()


@pytest.fixture
def engine(bundle: ModelBundle) -> Iterator[Engine]:
    """A running engine with default settings."""
    with Engine(bundle) as running:
        yield running


def make_plan(number: int = 0, *, height: int = 32, width: int = 32, **changes: Any) -> Plan:
    """Return plan `number`: its own prompt, picture, mask and seed; `changes` replace fields."""
    generator = torch.Generator().manual_seed(1000 + number)
    mask = torch.zeros(1, height, width)
    mask[:, 5 + number % 7 : 24, 3 : 22 - number % 5] = 1.0
    fields: dict[str, Any] = {
        "prompt": PROMPTS[number % len(PROMPTS)],
        "negative_prompt": "" if number % 2 == 0 else "a dog",
        "image": torch.rand(3, height, width, generator=generator) * 2 - 1,
        "mask": mask,
        "num_inference_steps": 4,
        "guidance_scale": 7.5,
        "strength": 1.0,
        "seed": number,
        "scheduler": None,
        "latent_mask": "cover",
        "masked_content": "original",
    }
    return Plan(**{**fields, **changes})


@pytest.fixture
def plan() -> Callable[..., Plan]:
    """Make a plan by its number and the fields that matter to a test."""
    return make_plan


@pytest.fixture
def run_alone() -> Callable[..., Denoised]:
    """Run one plan in an engine of its own."""

    def run(bundle: ModelBundle, plan: Plan, **settings: Any) -> Denoised:
        with Engine(bundle, EngineSettings(**settings)) as engine:
            return engine.submit(plan).future.result(timeout=60)

    return run


class Watched(torch.nn.Module):
    """A UNet that tells a test of each call, and lets it change the prediction.

    `watch(number, sample)` may raise, or return a function from prediction to prediction.
    """

    def __init__(self, unet: torch.nn.Module, watch: Callable[[int, torch.Tensor], Any]) -> None:
        super().__init__()
        self.inner = unet
        self.config = unet.config
        self.watch = watch
        self.number = 0

    def forward(self, sample: torch.Tensor, *args: Any, **kwargs: Any) -> tuple[torch.Tensor]:
        self.number += 1
        change = self.watch(self.number, sample)
        prediction = self.inner(sample, *args, **kwargs)[0]
        return (change(prediction) if change is not None else prediction,)


@pytest.fixture
def watched(bundle: ModelBundle) -> Callable[..., ModelBundle]:
    """Make the usual bundle with a watched UNet, tuned as the engine would have it."""

    def make(watch: Callable[[int, torch.Tensor], Any], **changes: Any) -> ModelBundle:
        return replace(bundle, unet=Watched(tuned(bundle.unet, Tuning(owns_residuals=False)), watch), **changes)

    return make
