"""A VAE of its own, from a file or a folder, in the place of the checkpoint's."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from retouch.errors import ModelNotFound, ModelUnsupported
from retouch.models.checks import read_weights
from retouch.models.components import Components
from retouch.models.folder import check_config, vae_class
from retouch.models.hashing import hash_files
from retouch.models.layout import WEIGHTED, read_json
from retouch.models.options import LoadOptions

# What diffusers called an attention's layers before version 0.17; the best-known VAEs were saved then.
_OLD_NAMES = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}
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
    beside = file.with_name("config.json")
    config: Mapping[str, Any] = read_json(beside) if beside.is_file() else _own_config(components.vae)
    check_config("vae", dict(config))
    vae = build_vae(read_weights(file, allow_pickle=options.allow_pickle), config, name=path.name)
    label = f"vae={path.name}@{hash_files([('vae', file)])[:12]}"
    return replace(components, vae=vae, adapters=(label, *components.adapters))


def build_vae(weights: Mapping[str, torch.Tensor], config: Mapping[str, Any], *, name: str) -> Any:
    """Return a VAE of a config with weights in diffusers' names or those of the original layout, in float32.

    Raises:
        ModelUnsupported: they do not make this VAE.
    """
    from diffusers.loaders.single_file_utils import convert_ldm_vae_checkpoint

    cls = vae_class(config)
    of_vae = [key for key in weights if key.startswith(_IN_CHECKPOINT)] or list(weights)
    weights = {key: weights[key].float() for key in of_vae if "loss." not in key}
    try:
        if any(".mid.attn_1." in key for key in weights):
            weights = convert_ldm_vae_checkpoint(weights, config)
        with torch.device("meta"):
            vae = cls.from_config(dict(config))
        vae.load_state_dict({_renamed(key): tensor for key, tensor in weights.items()}, assign=True)
    except (AttributeError, KeyError, IndexError, RuntimeError, TypeError, ValueError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[:2][-1].strip()
        raise ModelUnsupported(
            f"{name} is no {cls.__name__} of the checkpoint's shape: {reason[:200]}",
            hint="put the VAE's config.json beside its weights, if it has another shape",
        ) from error
    return vae


def _own_config(vae: Any) -> dict[str, Any]:
    return {**vae.config, "_class_name": type(vae).__name__}


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


def _renamed(key: str) -> str:
    head, _, layer = key.removesuffix(".weight").removesuffix(".bias").rpartition(".")
    if ".attentions." not in key or layer not in _OLD_NAMES:
        return key
    return f"{head}.{_OLD_NAMES[layer]}{key[len(head) + 1 + len(layer) :]}"
