"""LoRAs and textual inversions, put into a checkpoint's components before they move to their device."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from retouch.errors import InvalidField, ModelNotFound, ModelUnsupported
from retouch.models.checks import read_weights
from retouch.models.components import Components
from retouch.models.hashing import hash_files
from retouch.models.options import LoadOptions

_SCALE = re.compile(r"(?P<path>.+):(?P<scale>[-+]?\d+(?:\.\d*)?|[-+]?\.\d+)")
MAX_SCALE = 10.0


def attach(components: Components, options: LoadOptions) -> Components:
    """Fuse the LoRAs and add the textual inversions that the options name.

    Fused weights cost nothing at inference; to change a scale, load the checkpoint again. `adapters` of the
    result says what was added, as `file@hash:scale` and `token@hash`, so that a result can be traced.

    Raises:
        ModelNotFound: a file is not there.
        ModelUnsafe: a file is a pickle that is not allowed, or lies about sizes.
        ModelUnsupported: a file is no adapter for this checkpoint.
        InvalidField: a scale is out of range or a token cannot be used.
    """
    added = []
    for text in options.loras:
        path, scale = parse_lora(text)
        _fuse_lora(components, path, scale, allow_pickle=options.allow_pickle)
        added.append(f"{path.name}@{_short_hash(path)}:{scale:g}")
    for text in options.embeddings:
        token, path = parse_embedding(text)
        _add_embedding(components, token, path, allow_pickle=options.allow_pickle)
        added.append(f"{token}@{_short_hash(path)}")
    return replace(components, adapters=(*components.adapters, *added)) if added else components


def parse_lora(text: str) -> tuple[Path, float]:
    """Split `path[:scale]`; a file whose own name ends in a colon and a number wins.

    Raises:
        ModelNotFound: there is no such file.
        InvalidField: the scale is beyond 10.
    """
    path, scale = Path(text).expanduser(), 1.0
    if not path.is_file() and (match := _SCALE.fullmatch(text)):
        path, scale = Path(match["path"]).expanduser(), float(match["scale"])
    if not path.is_file():
        raise ModelNotFound(f"there is no LoRA file at {path}", hint="give it as path or path:scale")
    if abs(scale) > MAX_SCALE:
        raise InvalidField("lora", f"scale {scale:g} is beyond ±{MAX_SCALE:g}")
    return path, scale


def parse_embedding(text: str) -> tuple[str, Path]:
    """Split `token=path`; a bare path takes `<file name>` for its token.

    Raises:
        ModelNotFound: there is no such file.
        InvalidField: the token holds white space.
    """
    path = Path(text).expanduser()
    token, separator, rest = text.partition("=")
    if not path.is_file() and separator:
        path = Path(rest).expanduser()
    else:
        token = f"<{path.stem.lower()}>"
    if not path.is_file():
        raise ModelNotFound(f"there is no embedding file at {path}", hint="give it as path or token=path")
    if not token or any(character.isspace() for character in token):
        raise InvalidField("embedding", f"{token!r} cannot be a token", hint="a token has no white space")
    return token, path


def expand_tokens(prompt: str, tokenizer: Any) -> str:
    """Spell out the tokens of textual inversions with several vectors: `<x>` becomes `<x> <x>_1 <x>_2`."""
    added = set(tokenizer.get_added_vocab())
    for token in sorted(added, key=len, reverse=True):
        parts = [token]
        while f"{token}_{len(parts)}" in added:
            parts.append(f"{token}_{len(parts)}")
        if len(parts) > 1:
            spelled = " ".join(parts).replace("\\", r"\\")
            prompt = re.sub(rf"{re.escape(token)}(?!_\d)", spelled, prompt)
    return prompt


def _fuse_lora(components: Components, path: Path, scale: float, *, allow_pickle: bool) -> None:
    weights = read_weights(path, allow_pickle=allow_pickle)
    if not any("lora" in name for name in weights):
        raise ModelUnsupported(f"{path.name} is not a LoRA", hint="its weights have other names")
    pipe = _pipeline(components)
    try:
        pipe.load_lora_weights(weights, adapter_name="lora")
        if not pipe.get_list_adapters():
            raise ModelUnsupported(f"{path.name} touches no layer of this checkpoint")
        pipe.fuse_lora(lora_scale=scale, adapter_names=["lora"])
        pipe.unload_lora_weights()
    except (ValueError, RuntimeError, KeyError, IndexError, AttributeError) as error:
        reason = str(error).strip().partition("\n")[0][:200]
        raise ModelUnsupported(
            f"{path.name} does not fit this checkpoint: {reason}", hint="was it made for another family?"
        ) from error


def _add_embedding(components: Components, token: str, path: Path, *, allow_pickle: bool) -> None:
    tensors = list(read_weights(path, allow_pickle=allow_pickle).values())
    width = components.text_encoder.config.hidden_size
    if len(tensors) != 1 or tensors[0].ndim not in (1, 2) or tensors[0].shape[-1] != width:
        raise ModelUnsupported(
            f"{path.name} is not a textual inversion for this checkpoint",
            hint=f"expected one tensor, {width} wide; it has {[tuple(tensor.shape) for tensor in tensors][:3]}",
        )
    if components.tokenizer.convert_tokens_to_ids(token) != components.tokenizer.unk_token_id:
        raise InvalidField("embedding", f"the checkpoint already has a token {token!r}", hint="name another one")
    with torch.random.fork_rng(devices=[]):
        # New rows of the embedding are drawn at random before they are filled; nobody else shall notice.
        _pipeline(components).load_textual_inversion(tensors[0], token=token)


def _pipeline(components: Components) -> Any:
    from diffusers import DDIMScheduler, StableDiffusionInpaintPipeline

    # Only a vehicle for diffusers' loaders: its scheduler is never asked.
    return StableDiffusionInpaintPipeline(
        vae=components.vae,
        text_encoder=components.text_encoder,
        tokenizer=components.tokenizer,
        unet=components.unet,
        scheduler=DDIMScheduler(steps_offset=1, clip_sample=False),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def _short_hash(path: Path) -> str:
    return hash_files([("adapter", path)])[:12]
