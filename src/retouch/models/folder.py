"""Loading of diffusers folders: what is loaded is what was checked and hashed, each component on its own."""

import logging
import reprlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from retouch.errors import InvalidField, ModelUnsafe
from retouch.models.build import build
from retouch.models.checks import read_weights, weight_format
from retouch.models.components import Components, read_notes
from retouch.models.guarded import guarded
from retouch.models.hashing import hash_files, identities
from retouch.models.layout import (
    Weights,
    check_scheduler_name,
    components_of,
    named_files,
    read_json,
    weights_of,
)
from retouch.models.options import LoadOptions
from retouch.models.schemas import check_feature_extractor, check_scheduler
from retouch.models.tokenizer import load_tokenizer

logger = logging.getLogger(__name__)


def load_folder(folder: Path, options: LoadOptions) -> Components:
    """Load a diffusers folder to the CPU in the precision it is stored in or float32.

    Raises:
        ModelNotFound: a file is missing; the message names it.
        ModelUnsafe: a file would run code or lies about sizes.
        ModelUnsupported: a component is of another family.
        InvalidField: configs from elsewhere were asked for.
    """
    if options.config_from is not None:
        raise InvalidField("config_from", "is for single files", hint=f"{folder} has configs of its own")
    present = components_of(folder)
    weights = weights_of(folder, present, options.variant)
    files = named_files(weights)
    before = identities(files.values())
    loaded = {
        name: build(name, read_json(folder / name / "config.json"), _read_component(name, found, options))
        for name, found in weights.items()
    }
    checker = loaded.get("safety_checker")
    predicting = {} if options.prediction_type is None else {"prediction_type": options.prediction_type}
    return Components(
        unet=loaded["unet"],
        vae=loaded["vae"],
        text_encoder=loaded["text_encoder"],
        tokenizer=load_tokenizer(folder / "tokenizer", rows=loaded["text_encoder"].config.vocab_size),
        scheduler_config=read_scheduler(folder) | predicting,
        content_hash=hash_files(files.items()),
        safety_checker=checker,
        feature_extractor=(
            _load_feature_extractor(folder, checker.config.vision_config.image_size)
            if checker is not None and "feature_extractor" in present
            else None
        ),
        notes=read_notes(folder),
        files=before,
    )


def read_scheduler(folder: Path) -> dict[str, Any]:
    """Return the scheduler's config as it stands on disk.

    Raises:
        ModelNotFound: it is missing.
        ModelUnsafe: it is not a config, or a value is beyond its bounds.
        ModelUnsupported: it names no scheduler.
    """
    config = read_json(folder / "scheduler" / "scheduler_config.json")
    if not isinstance(config.get("_class_name"), str):
        raise ModelUnsafe("scheduler/scheduler_config.json names no class")
    check_scheduler_name(config["_class_name"])
    check_scheduler(config)
    return config


@contextmanager
def quiet_loading() -> Iterator[None]:
    """Keep transformers' progress bars off the terminal while a checkpoint loads."""
    from transformers.utils import logging as transformers_logging

    was_enabled = transformers_logging.is_progress_bar_enabled()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        if was_enabled:
            transformers_logging.enable_progress_bar()


def _read_component(component: str, weights: Weights, options: LoadOptions) -> dict[str, torch.Tensor]:
    """Return the tensors of all files of a component; those of safetensors are mapped, not read."""
    logger.debug("loading %s", component)
    tensors: dict[str, torch.Tensor] = {}
    for file in weights.files:
        if not weights.is_pickle and weight_format(file) != "safetensors":
            raise ModelUnsafe(f"{file.name} is not safetensors, whatever its name says")
        part = read_weights(file, allow_pickle=options.allow_pickle)
        if twice := tensors.keys() & part.keys():
            raise ModelUnsafe(f"{component} holds {reprlib.repr(min(twice))} in two of its shards")
        tensors.update(part)
    return tensors


def _load_feature_extractor(folder: Path, image_size: int) -> Any:
    import transformers

    config = read_json(folder / "feature_extractor" / "preprocessor_config.json")
    values = check_feature_extractor(config, image_size)
    # transformers 5 has a class of its own for Pillow, and warns where the plain name falls back to it.
    processor = getattr(transformers, "CLIPImageProcessorPil", None) or transformers.CLIPImageProcessor
    with guarded("feature_extractor/preprocessor_config.json describes no feature extractor"):
        return processor(**values)
