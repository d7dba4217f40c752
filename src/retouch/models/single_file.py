"""Loading of single-file checkpoints in the original Stable Diffusion layout, without the network."""

from collections.abc import Mapping
from importlib.resources import files as files_of
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch

from retouch.errors import ModelError, ModelUnsupported
from retouch.models.build import build, outline
from retouch.models.checks import read_weights
from retouch.models.clip_tokenizer import clip_tokenizer
from retouch.models.components import Components, read_notes
from retouch.models.folder import read_scheduler
from retouch.models.guarded import guarded
from retouch.models.hashing import hash_files, identities
from retouch.models.layout import read_json
from retouch.models.options import LoadOptions
from retouch.models.schemas import check_config
from retouch.models.tokenizer import has_tokenizer, load_tokenizer

CONV_IN = "model.diffusion_model.input_blocks.0.0.weight"
_VAE = "first_stage_model."
_TEXT_1 = "cond_stage_model.transformer."
_TEXT_2 = "cond_stage_model.model."


def load_single_file(path: Path, options: LoadOptions) -> Components:
    """Load a checkpoint of the original layout to the CPU in float32.

    The file holds weights alone. Its family is read from their names and shapes; configs and tokenizer come from
    `options.config_from`, or from a folder beside the file that has its name without the suffix, or are those of
    Stable Diffusion 1.5 and 2 that the package carries.

    Raises:
        ModelUnsafe: it is a pickle that is not allowed, or holds more than weights, or lies about sizes.
        ModelUnsupported: it is of another family.
        ModelError: weights are missing.
    """
    files = identities([path])
    weights = _normalise(read_weights(path, allow_pickle=options.allow_pickle))
    family = detect_family(weights, path.name)
    home = _config_home(path, options) or Path(str(files_of("retouch.models") / "configs" / family))
    unet = _model("unet", weights, home, in_channels=int(weights[CONV_IN].shape[1]))
    scheduler = read_scheduler(home)
    if options.prediction_type is not None:
        scheduler["prediction_type"] = options.prediction_type
    elif family == "sd2" and unet.config.in_channels == 4 and _config_home(path, options) is None:
        scheduler["prediction_type"] = "epsilon" if predicts_noise(unet) else "v_prediction"
    if family == "sd2" and scheduler.get("prediction_type") == "v_prediction" and unet.config.sample_size == 64:
        unet.register_to_config(sample_size=96)  # Stable Diffusion 2 predicts v in its 768 px version only
    text_encoder = _model("text_encoder", weights, home)
    return Components(
        unet=unet,
        vae=_vae(weights, home, path.name)
        if options.vae is None
        else outline("vae", read_json(home / "vae" / "config.json")),
        text_encoder=text_encoder,
        tokenizer=_tokenizer(home, rows=text_encoder.config.vocab_size),
        scheduler_config=scheduler,
        content_hash=hash_files([("checkpoint", path)]),
        notes=read_notes(home),
        files=files,
    )


def _config_home(path: Path, options: LoadOptions) -> Path | None:
    beside = path.with_suffix("")
    if options.config_from is None and (beside / "unet" / "config.json").is_file():
        return beside
    return options.config_from


@torch.inference_mode()
def predicts_noise(unet: Any) -> bool:
    """Tell epsilon from v by what a UNet makes of pure noise at the last timestep.

    There, the noise itself is the right epsilon, while v is minus the picture but for a trace (Salimans and Ho,
    https://arxiv.org/abs/2202.00512, section 4: v = alpha * epsilon - sigma * x0, alpha near 0).
    """
    noise = torch.randn(1, unet.config.in_channels, 32, 32, generator=torch.Generator().manual_seed(0))
    text = torch.zeros(1, 77, unet.config.cross_attention_dim)
    output = unet(noise, 999, text).sample
    correlation = torch.corrcoef(torch.stack([noise.flatten(), output.flatten()]))[0, 1]
    return bool(correlation > 0.5)


def detect_family(weights: Mapping[str, torch.Tensor], name: str) -> str:
    """Tell the family of a checkpoint by the names of its weights: `sd1` or `sd2`.

    Raises:
        ModelUnsupported: it is of another family, or no whole checkpoint; the hint says what it seems to be.
    """
    if any(key.startswith("conditioner.") or ".label_emb." in key for key in weights):
        raise ModelUnsupported(f"{name} is a Stable Diffusion XL checkpoint", hint="retouch runs SD 1.x and 2.x")
    if CONV_IN not in weights:
        hint = "expected the original layout (model.diffusion_model..., first_stage_model..., cond_stage_model...)"
        if any("lora" in key for key in weights):
            hint = "it is a LoRA: load a checkpoint and add this file with --lora"
        elif any(key.startswith("down_blocks.") for key in weights):
            hint = "it is one component of a diffusers folder: give the folder"
        raise ModelUnsupported(f"{name} is no Stable Diffusion checkpoint", hint=hint)
    if any(key.startswith(_TEXT_2) for key in weights):
        return "sd2"
    if any(key.startswith(_TEXT_1) for key in weights):
        return "sd1"
    raise ModelUnsupported(f"{name} has no text encoder", hint="it was pruned; use a whole checkpoint")


def _normalise(weights: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return the weights with the text encoder's names as Stable Diffusion 1.5 has them, without averaged ones."""
    result = {}
    for key, tensor in weights.items():
        if key.startswith(_TEXT_1) and not key.startswith(_TEXT_1 + "text_model."):
            key = _TEXT_1 + "text_model." + key.removeprefix(_TEXT_1)
        if not key.startswith("model_ema."):
            result[key] = tensor
    return result


def _model(component: str, weights: dict[str, torch.Tensor], home: Path, **overrides: int) -> Any:
    config = {**read_json(home / component / "config.json"), **overrides}
    values = check_config(component, config)
    try:
        with guarded("its weights have other names or shapes"):
            renamed = converted(component, weights, values)
        return build(component, config, renamed)
    except ModelError as error:
        raise type(error)(
            f"the {component} of this file does not fit its config: {error}",
            hint="an unusual shape needs its configs: put a diffusers folder of the file's name beside it",
        ) from error


def _vae(weights: dict[str, torch.Tensor], home: Path, name: str) -> Any:
    if not any(key.startswith(_VAE) for key in weights):
        raise ModelUnsupported(
            f"{name} has no VAE",
            hint="it was pruned: name one with --vae (vae= in Python), or use a whole checkpoint",
        )
    return _model("vae", weights, home)


def converted(
    component: str, weights: dict[str, torch.Tensor], config: dict[str, Any]
) -> Mapping[str, torch.Tensor]:
    """Return one component's weights under diffusers' names; its converters go by the names in the file."""
    from diffusers.loaders import single_file_utils as converters

    if component == "unet":
        found = converters.convert_ldm_unet_checkpoint(weights, config)
    elif component == "vae":
        found = converters.convert_ldm_vae_checkpoint(weights, config)
    elif any(key.startswith(_TEXT_2) for key in weights):
        outline = SimpleNamespace(config=SimpleNamespace(**config))
        found = converters.convert_open_clip_checkpoint(outline, weights, prefix=_TEXT_2)
    else:
        found = converters.convert_ldm_clip_checkpoint(weights)
    return dict(found)


def _tokenizer(home: Path, *, rows: int) -> Any:
    if has_tokenizer(home / "tokenizer"):
        return load_tokenizer(home / "tokenizer", rows=rows)
    path = home / "tokenizer" / "tokenizer_config.json"
    pad = read_json(path).get("pad_token") if path.is_file() else None
    return clip_tokenizer(pad) if isinstance(pad, str) else clip_tokenizer()
