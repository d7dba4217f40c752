"""Loading of diffusers folders: every file is checked first, each component on its own."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from retouch.errors import InvalidField, ModelError, ModelNotFound, ModelUnsafe, ModelUnsupported
from retouch.models.checks import check_pickle, safetensors_header, weight_format
from retouch.models.components import Components, read_notes
from retouch.models.hashing import hash_files
from retouch.models.layout import VAES, WEIGHTED, Weights, components_of, find_weights, read_json
from retouch.models.options import LoadOptions

logger = logging.getLogger(__name__)

# No Stable Diffusion config comes near; a larger number would only serve to exhaust memory or time.
_MAX_NUMBER = 1_000_000
_MAX_DEPTH = 64
_MAX_WIDTH = 16_384
_DEPTHS = (
    "layers_per_block", "layers_per_down_block", "layers_per_up_block", "num_encoder_blocks", "num_decoder_blocks",
    "num_hidden_layers", "transformer_layers_per_block",
)  # fmt: skip
_WIDTHS = (
    "block_out_channels", "down_block_out_channels", "up_block_out_channels", "encoder_block_out_channels",
    "decoder_block_out_channels", "hidden_size", "cross_attention_dim", "intermediate_size", "projection_dim",
)  # fmt: skip


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
    names = [name for name in WEIGHTED if name in present]
    weights = {name: find_weights(folder, name, options.variant) for name in names}
    for name in names:
        _check_files(weights[name], options)
        check_config(name, read_json(folder / name / "config.json"))
    predicting = {} if options.prediction_type is None else {"prediction_type": options.prediction_type}
    loaded = {name: _load_component(folder, name, weights[name]) for name in names}
    return Components(
        unet=loaded["unet"],
        vae=loaded["vae"],
        text_encoder=loaded["text_encoder"],
        tokenizer=load_tokenizer(folder / "tokenizer"),
        scheduler_config=read_scheduler(folder) | predicting,
        content_hash=hash_files((f"{name}/{file.name}", file) for name in names for file in weights[name].files),
        safety_checker=loaded.get("safety_checker"),
        feature_extractor=_load_feature_extractor(folder) if "feature_extractor" in present else None,
        notes=read_notes(folder),
    )


def load_tokenizer(folder: Path) -> Any:
    """Load CLIP's tokenizer from `vocab.json` and `merges.txt`, or from `tokenizer.json`, which holds both.

    Raises:
        ModelNotFound: neither is whole.
        ModelError: they cannot be read, or do not fit each other.
    """
    if not has_tokenizer(folder):
        raise ModelNotFound(
            "the tokenizer is missing: vocab.json with merges.txt, or tokenizer.json", hint=f"looked in {folder}"
        )
    from transformers import CLIPTokenizer

    try:
        return CLIPTokenizer.from_pretrained(folder, local_files_only=True)
    except Exception as error:
        # The tokenizer's parser raises plain Exception for broken files.
        raise ModelError(f"the tokenizer in {folder} cannot be read: {error}") from error


def has_tokenizer(folder: Path) -> bool:
    """Tell whether a folder holds a tokenizer; transformers 5 saves `tokenizer.json` alone."""
    pair = (folder / "vocab.json", folder / "merges.txt")
    return (folder / "tokenizer.json").is_file() or all(path.is_file() for path in pair)


def read_scheduler(folder: Path) -> dict[str, Any]:
    """Return the scheduler's config as it stands on disk.

    Raises:
        ModelNotFound: it is missing.
        ModelUnsafe: it is not a config.
    """
    config = read_json(folder / "scheduler" / "scheduler_config.json")
    if not isinstance(config.get("_class_name"), str):
        raise ModelUnsafe("scheduler/scheduler_config.json names no class")
    return config


def check_config(component: str, config: dict[str, Any]) -> None:
    """Refuse numbers that no Stable Diffusion config holds, before a model is built from them.

    Raises:
        ModelUnsafe: a depth, a width or another number is beyond its limit.
    """
    for key, value in config.items():
        limit = _MAX_DEPTH if key in _DEPTHS else _MAX_WIDTH if key in _WIDTHS else _MAX_NUMBER
        values = value if isinstance(value, list) else [value]
        if len(values) > 1_000 or any(type(item) is int and abs(item) > limit for item in values):
            raise ModelUnsafe(f"{component}/config.json: {key} is beyond any Stable Diffusion checkpoint")


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


def _check_files(weights: Weights, options: LoadOptions) -> None:
    for file in weights.files:
        if weights.is_pickle:
            check_pickle(file, allow_pickle=options.allow_pickle)
        elif weight_format(file) != "safetensors":
            raise ModelUnsafe(f"{file.name} is not safetensors, whatever its name says")
        else:
            safetensors_header(file)


def _load_component(folder: Path, component: str, weights: Weights) -> Any:
    logger.debug("loading %s", component)
    try:
        model, report = _component_class(folder, component).from_pretrained(
            folder / component,
            variant=weights.variant,
            use_safetensors=not weights.is_pickle,
            local_files_only=True,
            torch_dtype=torch.float32,
            output_loading_info=True,
        )
    except (OSError, ValueError, RuntimeError, KeyError, TypeError, AttributeError, NotImplementedError) as error:
        raise ModelError(f"{component} cannot be loaded: {_first_line(error)}") from error
    missing = [name for name in report["missing_keys"] if not name.endswith("position_ids")]
    if missing or report.get("mismatched_keys"):
        raise ModelError(f"{component} is not whole: {len(missing)} weights are missing, such as {missing[:1]}")
    return model


def vae_class(config: Mapping[str, Any]) -> Any:
    """Return the class of diffusers that a VAE's config names.

    Raises:
        ModelUnsupported: it is none that retouch runs.
    """
    import diffusers

    name = config.get("_class_name", VAES[0])
    if name not in VAES:
        raise ModelUnsupported(f"the VAE is a {name!r}", hint=f"known: {', '.join(VAES)}")
    return getattr(diffusers, name)


def _component_class(folder: Path, component: str) -> Any:
    if component == "unet":
        from diffusers import UNet2DConditionModel

        return UNet2DConditionModel
    if component == "vae":
        return vae_class(read_json(folder / "vae" / "config.json"))
    if component == "text_encoder":
        from transformers import CLIPTextModel

        return CLIPTextModel
    from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker

    return StableDiffusionSafetyChecker


def _load_feature_extractor(folder: Path) -> Any:
    import transformers

    read_json(folder / "feature_extractor" / "preprocessor_config.json")
    # transformers 5 has a class of its own for Pillow, and warns where the plain name falls back to it.
    processor = getattr(transformers, "CLIPImageProcessorPil", None) or transformers.CLIPImageProcessor
    return processor.from_pretrained(folder / "feature_extractor", local_files_only=True)


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0][:300]
