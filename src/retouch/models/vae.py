"""A VAE of its own, from a file or a folder, in the place of the checkpoint's."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from retouch.errors import ModelError, ModelNotFound, ModelUnsupported
from retouch.models.build import build
from retouch.models.checks import read_weights
from retouch.models.components import Components
from retouch.models.guarded import guarded
from retouch.models.hashing import hash_files, identities
from retouch.models.layout import WEIGHTED, read_json
from retouch.models.options import LoadOptions
from retouch.models.schemas import check_config
from retouch.models.single_file import converted

_IN_CHECKPOINT = "first_stage_model."


def replace_vae(components: Components, options: LoadOptions) -> Components:
    """Put the VAE that `options.vae` names in the place of the checkpoint's, and record it among the adapters.

    It may be a VAE or a checkpoint whose VAE is wanted: a folder in diffusers' layout, or a file of weights in
    that or the original one, which has the config of the checkpoint's own VAE where none lies beside it.

    Raises:
        ModelNotFound: it is not there.
        ModelUnsafe: it is a pickle that is not allowed, or lies about sizes.
        ModelUnsupported: it is of another kind or shape.
    """
    assert options.vae is not None
    path = options.vae.expanduser()
    file = _weight_file(path, options) if path.is_dir() else path
    if not file.is_file():
        raise ModelNotFound(f"there is no VAE at {path}", hint="give a weight file or a diffusers folder")
    files = identities([file])
    beside = file.with_name("config.json")
    config = read_json(beside) if beside.is_file() else _own_config(components.vae)
    vae = _built(read_weights(file, allow_pickle=options.allow_pickle), config, name=path.name)
    label = f"vae={path.name}@{hash_files([('vae', file)])[:12]}"
    return replace(
        components,
        vae=vae,
        adapters=(label, *components.adapters),
        files={**components.files, **files},
    )


def load_vae(folder: Path, options: LoadOptions = LoadOptions()) -> Any:  # noqa: B008  # frozen
    """Return the VAE of a diffusers folder or checkpoint, in fp32: of the kind that its config names.

    Raises:
        ModelNotFound: it is not there.
        ModelUnsafe: it is a pickle that is not allowed, or lies about sizes.
        ModelUnsupported: it is of another kind or shape.
    """
    file = _weight_file(folder, options)
    weights = read_weights(file, allow_pickle=options.allow_pickle)
    return _built(weights, read_json(file.with_name("config.json")), name=folder.name)


def seen_by_decoder(vae: Any, images: torch.Tensor, masks: torch.Tensor) -> dict[str, torch.Tensor]:
    """What `vae.decode` takes beside latents: image and mask where it looks at the kept pixels, else nothing.

    Args:
        images: (B, 3, H, W) in [-1, 1]; masks: (B, 1, H, W), 1 = painted.
    """
    return {"image": images, "mask": masks} if hasattr(vae.decoder, "condition_encoder") else {}


def _built(weights: Mapping[str, torch.Tensor], config: Mapping[str, Any], *, name: str) -> Any:
    values = check_config("vae", config)
    of_vae = [key for key in weights if key.startswith(_IN_CHECKPOINT)] or list(weights)
    weights = {key: weights[key] for key in of_vae if "loss." not in key}  # what it was trained with
    try:
        if any(".mid.attn_1." in key for key in weights):
            with guarded("its weights have other names or shapes"):
                weights = converted("vae", dict(weights), values)
        return build("vae", config, weights)
    except ModelError as error:
        raise ModelUnsupported(
            f"{name} is no VAE of the checkpoint's shape: {error}",
            hint="put the VAE's config.json beside its weights, if it has another shape",
        ) from error


def _own_config(vae: Any) -> dict[str, Any]:
    # As it would stand in a file: diffusers holds some lists as tuples.
    config: dict[str, Any] = json.loads(vae.to_json_string())
    return config


def _weight_file(folder: Path, options: LoadOptions) -> Path:
    """Choose a file of a VAE's folder in the order of a checkpoint's components, shards excepted."""
    home = next((home for home in (folder / "vae", folder) if (home / "config.json").is_file()), None)
    if home is None:
        raise ModelNotFound(f"there is no VAE in {folder}", hint="its config.json is missing")
    stem = WEIGHTED["vae"][0]
    tags = [f".{wanted}" if wanted else "" for wanted in dict.fromkeys((options.variant, None, "fp16"))]
    names = [f"{stem}{tag}.{suffix}" for suffix in ("safetensors", "bin") for tag in tags]
    found = next((home / name for name in names if (home / name).is_file()), None)
    if found is None:
        raise ModelNotFound(f"the VAE in {home} has no weights", hint=f"looked for {', '.join(names)}")
    return found
