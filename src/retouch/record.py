"""What a result remembers of its making, as plain JSON values: written into its file, read back by `replay`."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, Self

import torch

from retouch.errors import BadInput, RetouchError
from retouch.imaging.mask_bits import pack_mask, unpack_mask
from retouch.imaging.metadata import ResultMetadata, pixel_hash
from retouch.imaging.morphology import Mask
from retouch.imaging.parameters import format_parameters
from retouch.models.bundle import ModelBundle
from retouch.models.facts import config_marks
from retouch.models.options import DtypeName
from retouch.prepare import Prepared
from retouch.request import InpaintRequest, Limits, validate
from retouch.variants import with_variant

FORMAT = 1
_CONTENT_NAMES: dict[str, str] = {"noise": "latent noise", "zeros": "latent nothing"}
_NOT_RECORDED = frozenset({"image", "mask_image", "num_images_per_prompt", "deadline_s", "safety"})
_CONFIG_FACTS = ("prediction_type", "scheduler", "config")
_DEVICE_FACTS = ("type", "dtype", "vae_dtype", "threads")
_MAX_LINE, _MAX_ADAPTERS = 500, 100
_DTYPE_NAMES: Mapping[str, DtypeName] = {
    "torch.float32": "fp32",
    "torch.bfloat16": "bf16",
    "torch.float16": "fp16",
}
_LIBRARIES = ("retouch", "torch", "diffusers", "transformers", "numpy")


@dataclass(frozen=True, slots=True, eq=False)
class SharedRecord:
    """What the records of all variants of a request have in common; its hashes are costly over a large picture."""

    prepared: Prepared
    bundle: ModelBundle
    values: Mapping[str, Any]

    @classmethod
    def of(cls, prepared: Prepared, bundle: ModelBundle) -> Self:
        """Pack the mask and hash the picture, once for all variants."""
        name = _public_name(bundle)
        values = {
            "format": FORMAT,
            "model": {
                "name": name,
                "hash": bundle.content_hash,
                "adapters": list(bundle.adapters),
                **config_marks(bundle),
            },
            **surroundings(bundle),
            "region": prepared.place.region.to_dict(),
            "mask": pack_mask(prepared.mask.pixels),
            "alpha_is_mask": prepared.alpha_is_mask,
            "is_hole_hidden": prepared.is_hole_hidden,
            "input_hash": pixel_hash(prepared.picture),
            "input_is_grey": prepared.picture.pixels.ndim == 2,
            "input_bits": 8 * prepared.picture.pixels.itemsize,
        }
        return cls(prepared, bundle, values)


def record_of(shared: SharedRecord, *, seed: int, rows_per_call: int) -> ResultMetadata:
    """Return the metadata of one variant.

    Args:
        seed: of the variant.
        rows_per_call: as the engine ran it; it decides the last bits of the pixels.
    """
    request = replace(shared.prepared.request, seed=seed)
    spoken = with_variant(request, shared.bundle, seed)
    record = {
        **shared.values,
        **({} if spoken == request.prompt else {"spoken_prompt": spoken}),
        "request": {f.name: getattr(request, f.name) for f in fields(request) if f.name not in _NOT_RECORDED},
        "rows_per_call": rows_per_call,
    }
    return ResultMetadata(parameters=_parameters(shared.prepared, request, shared.bundle), record=record)


def surroundings(bundle: ModelBundle) -> dict[str, dict[str, Any]]:
    """Return what the last bits of a picture depend on beside the request: device and versions."""
    return {
        "device": {
            "type": bundle.device.type,
            "dtype": str(bundle.dtype),
            "vae_dtype": str(bundle.vae_dtype),
            "threads": torch.get_num_threads(),
        },
        "versions": dict(_versions()),
    }


@cache
def _versions() -> dict[str, str]:
    """Return what is installed, read once: each look parses a file."""
    return {name: version(name) for name in _LIBRARIES}


@dataclass(frozen=True, slots=True, eq=False)
class Record:
    """A record read back.

    Attributes:
        request: its fields; without pictures.
        mask: (H, W), True = repaint, as it was composited.
        model, model_hash: name and hash of the checkpoint.
        adapters: LoRAs and textual inversions that were in it, as `ModelBundle.adapters` names them.
        rows_per_call: as it was run.
        alpha_is_mask: the mask was the picture's own transparency.
        device_type, dtype, vae_dtype, threads: where and in which precision it ran; None where that is not told.
        is_hole_hidden: nothing that the mask hid entered the result, so that the result can serve as the input.
        input_hash: of the input's samples.
        input_is_grey, input_bits: the input's kind, which not all formats keep; False and 0 where it is not told.
        config: prediction type, scheduler and a hash of the checkpoint's config; what is not told is not there.
        region: what the model saw, to be compared with another; empty where it is not told.
        surroundings: device and versions, which decide the last bits, too.
    """

    request: InpaintRequest
    mask: Mask
    model: str
    model_hash: str
    adapters: tuple[str, ...]
    rows_per_call: int
    device_type: str | None
    dtype: DtypeName | None
    vae_dtype: DtypeName | None
    threads: int | None
    alpha_is_mask: bool
    is_hole_hidden: bool
    input_hash: str
    input_is_grey: bool
    input_bits: int
    config: Mapping[str, str | int]
    region: Mapping[str, Any]
    surroundings: Mapping[str, Mapping[str, str | int]]


def parse_record(record: Mapping[str, Any], limits: Limits) -> Record:
    """Read a record that may come from anywhere; what it says beside its request is bounded and printable.

    Raises:
        BadInput: it is no record of ours, of a later format, or a field is out of range.
    """
    try:
        if record["format"] != FORMAT:
            raise BadInput("the record has another format", hint="update retouch")
        request = InpaintRequest(prompt="", image=b"").with_fields(**_texts(record["request"]))
        validate(request, limits)
        return Record(
            request=request,
            mask=unpack_mask(record["mask"], limits=limits),
            model=_line(record["model"]["name"]),
            model_hash=_line(record["model"]["hash"]),
            adapters=_lines(record["model"]["adapters"]),
            rows_per_call=_count(record["rows_per_call"]),
            **_place(record["device"]),
            alpha_is_mask=record["alpha_is_mask"] is True,
            is_hole_hidden=record["is_hole_hidden"] is True,
            input_hash=_line(record["input_hash"]),
            input_is_grey=record.get("input_is_grey") is True,
            input_bits=_count(record.get("input_bits", 0)),
            config=_facts(record["model"], _CONFIG_FACTS),
            region=dict(record.get("region", {})),
            surroundings={
                "device": _facts(record["device"], _DEVICE_FACTS),
                "versions": _facts(record["versions"], _LIBRARIES),
            },
        )
    except RetouchError:
        raise
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise BadInput(
            "the picture's record is incomplete", hint="it was edited after retouch wrote it"
        ) from error


def _texts(values: Any) -> dict[str, Any]:
    if not isinstance(values, Mapping) or _NOT_RECORDED & values.keys():
        raise BadInput("the picture's record holds no request", hint="it was edited after retouch wrote it")
    return dict(values)


def _count(value: Any) -> int:
    if type(value) is not int or not 0 <= value <= 1024:
        raise ValueError(value)
    return value


def _line(value: Any) -> str:
    if not isinstance(value, str) or len(value) > _MAX_LINE or not value.isprintable():
        raise ValueError("no line of text")
    return value


def _lines(values: Any) -> tuple[str, ...]:
    if not isinstance(values, list) or len(values) > _MAX_ADAPTERS:
        raise ValueError("no short list")
    return tuple(_line(value) for value in values)


def _facts(values: Any, names: Iterable[str]) -> dict[str, str | int]:
    """Return the facts of these names that are there; whatever else is there has nobody to be told to."""
    found = {name: values[name] for name in names if name in values}
    return {name: value if type(value) is int else _line(value) for name, value in found.items()}


def _place(device: Mapping[str, Any]) -> dict[str, Any]:
    """Read where a picture was made; what an earlier version did not write, or nobody would, is None."""
    kind, threads = device.get("type"), device.get("threads")
    return {
        "device_type": kind if isinstance(kind, str) else None,
        "dtype": _DTYPE_NAMES.get(str(device.get("dtype"))),
        "vae_dtype": _DTYPE_NAMES.get(str(device.get("vae_dtype"))),
        "threads": threads if type(threads) is int and 1 <= threads <= (os.cpu_count() or 1) else None,
    }


def _public_name(bundle: ModelBundle) -> str:
    # A picture travels further than the folders of the machine that made it, relative ones included.
    if bundle.path is not None and Path(bundle.name).expanduser() == bundle.path:
        return bundle.path.resolve().name
    return bundle.name


def _parameters(prepared: Prepared, request: InpaintRequest, bundle: ModelBundle) -> str:
    """Return the text by which other tools know a result (the names are A1111's)."""
    height, width = prepared.place.region.canvas
    content = request.masked_content
    assert content is not None
    settings = {
        "Steps": request.num_inference_steps,
        "Sampler": request.scheduler or bundle.scheduler_class,
        "CFG scale": request.guidance_scale,
        "Clip skip": request.clip_skip + 1 if request.clip_skip else None,
        "Seed": request.seed,
        "Size": f"{width}x{height}",
        "Model hash": bundle.content_hash[:10],
        "Model": _public_name(bundle),
        "Denoising strength": request.strength,
        "Mask blur": request.feather_px,
        "Inpaint area": "Only masked" if prepared.place.region.mode == "masked" else "Whole picture",
        "Masked content": _CONTENT_NAMES.get(content, content),
        "Version": f"retouch {version('retouch')}",
    }
    return format_parameters(request.prompt, request.negative_prompt, settings)
