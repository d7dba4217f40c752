"""The checkpoint and the options of A1111's web UI, as they stand here: a client can change nothing of them.

Options that would change a picture are known by name, each with the one value that it has here. What else a client
sets belongs to A1111's own files and pages, and has no effect.
"""

import reprlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from retouch.errors import InvalidField

CHECKPOINT, CLIP_LAYERS = "sd_model_checkpoint", "CLIP_stop_at_last_layers"
_WEIGHT_FILES = (".safetensors", ".ckpt")
_FIXED: Mapping[str, Any] = {
    "sd_vae": "Automatic",
    "samples_format": "png",
    "initial_noise_multiplier": 1.0,
    "img2img_color_correction": False,
    "img2img_fix_steps": False,
    "inpainting_mask_weight": 1.0,
    "face_restoration": False,
    "tiling": False,
    "return_grid": False,
    "return_mask": False,
    "return_mask_composite": False,
    "token_merging_ratio": 0.0,
    "token_merging_ratio_img2img": 0.0,
    "s_min_uncond": 0.0,
    "s_churn": 0.0,
    "s_noise": 1.0,
    "sd_hypernetwork": "None",
}
"""Only what changes a picture, or which pictures come back. Noise is drawn otherwise here in any case."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The one checkpoint, as clients of A1111 know one: by title, name or hash.

    Attributes:
        name: never a path of this machine.
        sha256: over its weights, in hex.
        sees_the_mask: it was trained for inpainting: its UNet takes 9 channels.
    """

    name: str
    sha256: str
    sees_the_mask: bool

    @property
    def hash(self) -> str:
        return self.sha256[:10]

    @property
    def title(self) -> str:
        return f"{self.name} [{self.hash}]"

    def is_called(self, name: str) -> bool:
        """Tell whether a client means it; without its file's ending, too."""
        stems = {self.name, *(self.name.removesuffix(ending) for ending in _WEIGHT_FILES)}
        known = {f"{stem}{ending}" for stem in stems for ending in ("", *_WEIGHT_FILES)}
        known |= {f"{one} [{self.hash}]" for one in known}
        return name.casefold() in {one.casefold() for one in (*known, self.hash, self.sha256)}

    def to_dict(self) -> dict[str, Any]:
        """Return it as `GET /sdapi/v1/sd-models` lists it."""
        return {
            "title": self.title,
            "model_name": self.name,
            "hash": self.hash,
            "sha256": self.sha256,
            "filename": self.name,
            "config": None,
        }


def options_of(checkpoint: Checkpoint) -> dict[str, Any]:
    """Return the options as they stand."""
    return {CHECKPOINT: checkpoint.title, "sd_checkpoint_hash": checkpoint.sha256, CLIP_LAYERS: 1, **_FIXED}


def check_unchanged(options: Mapping[str, Any], checkpoint: Checkpoint) -> None:
    """Let pass what a client sets for good, if it changes nothing.

    Raises:
        InvalidField: an option would change, or is not known.
    """
    for name in check_known(options, checkpoint, prefix=""):
        raise InvalidField(name, "cannot be set here", hint="`GET /sdapi/v1/options` lists what is known")
    if _is_other(options.get(CLIP_LAYERS), 1):
        raise InvalidField(
            CLIP_LAYERS, "cannot be set for all", hint="send it in `override_settings` of each request"
        )


def check_known(options: Mapping[str, Any], checkpoint: Checkpoint, *, prefix: str) -> list[str]:
    """Check the options that would change a picture, and return the names of those that are not known.

    `CLIP_stop_at_last_layers` is for the caller to look at.

    Args:
        prefix: before an option's name in errors.
    Raises:
        InvalidField: an option would change.
    """
    known = options_of(checkpoint)
    for name, value in options.items():
        if name not in known or value is None or name == CLIP_LAYERS:
            continue
        if name == CHECKPOINT:
            is_other = not (isinstance(value, str) and checkpoint.is_called(value))
        else:
            is_other = _is_other(value, known[name])
        if is_other:
            raise InvalidField(
                f"{prefix}{name}",
                f"is {reprlib.repr(known[name])} and cannot be changed to {reprlib.repr(value)}",
                hint="whoever runs the server chooses the checkpoint: `retouch serve --model`"
                if name == CHECKPOINT
                else "",
            )
    return [name for name in options if name not in known]


def _is_other(value: Any, own: Any) -> bool:
    if isinstance(value, str) and isinstance(own, str):
        return value.casefold() != own.casefold()
    return bool(value is not None and value != own)
