"""Making a result again from what it remembers, and telling whether it came out the same."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from retouch.engine.settings import EngineSettings
from retouch.errors import BadInput, ModelError, ModelNotFound
from retouch.imaging.decode import ImageLike, decode_picture
from retouch.imaging.encode import encode_picture
from retouch.imaging.metadata import pixel_hash, read_metadata
from retouch.imaging.morphology import Mask
from retouch.imaging.picture import Picture, Samples
from retouch.imaging.sources import read_bytes
from retouch.inpainter import Inpainter
from retouch.models.bundle import ModelBundle
from retouch.models.facts import config_marks
from retouch.models.options import DEFAULT_OPTIONS, LoadOptions
from retouch.models.registry import describe, list_models
from retouch.record import Record, parse_record, surroundings
from retouch.request import DEFAULT_LIMITS, InpaintRequest, Limits
from retouch.result import Fill, InpaintResult


@dataclass(frozen=True, slots=True, eq=False)
class Memory:
    """A result file: its pixels, and what it remembers."""

    picture: Picture
    record: Record


@dataclass(frozen=True, slots=True, eq=False)
class Replayed:
    """A result made again.

    Attributes:
        result: the new one.
        is_identical: every sample of its picture that the file's format keeps, alpha included, equals the file's.
        max_difference: the largest difference of a sample, as a share of the peak; 1 for another size or kind.
        notes: what is not as it was when the file was made, and may explain a difference.
    """

    result: InpaintResult
    is_identical: bool
    max_difference: float
    notes: tuple[str, ...]


def remember(source: Path | bytes, *, limits: Limits = DEFAULT_LIMITS) -> Memory:
    """Read a result's pixels and record.

    Raises:
        BadInput: it is not a picture, or carries no record of ours.
    """
    data = read_bytes(source, limits.image_bytes)
    metadata = read_metadata(data)
    if metadata is None or not metadata.record:
        raise BadInput(
            "the picture carries no record", hint="it was saved without metadata, or by another program"
        )
    return Memory(decode_picture(data, limits=limits), parse_record(metadata.record, limits))


def known_model(record: Record, options: LoadOptions = DEFAULT_OPTIONS) -> str:
    """Return the name of a checkpoint at hand that holds the record's weights, told by their hash.

    At hand are the embedded one and those in the hub's cache: what this machine's owner put there. The name in the
    record only says which of them to look at first; it is never a path, and never makes us download.

    Raises:
        ModelNotFound: there is none.
    """
    options = replace(options, local_files_only=True)
    named = record.model.partition("@")[0]
    entries, _ = list_models((), options)
    for entry in sorted(entries, key=lambda entry: entry.name != named):
        with suppress(ModelError):
            if describe(entry.name, options).content_hash == record.model_hash:
                return entry.name
    raise ModelNotFound(
        f"no checkpoint at hand holds the weights that made the picture: {record.model} {record.model_hash[:10]}",
        hint="name a folder or a file with --model",
    )


def settings_for(record: Record, bundle: ModelBundle) -> EngineSettings:
    """Return settings with the record's `rows_per_call`, up to what the checkpoint's calls hold here."""
    return EngineSettings(rows_per_call=min(record.rows_per_call, bundle.row_cap))


def replay(memory: Memory, inpainter: Inpainter, *, image: ImageLike | None = None) -> Replayed:
    """Make a result again, with the model that is given.

    Args:
        inpainter: should hold the record's model and run with the record's `rows_per_call`; the notes say if not.
        image: the original input; None takes the result itself, where nothing hidden by the mask entered it.
    Raises:
        BadInput: the original input is needed, or is another picture.
    """
    record = memory.record
    picture = _input(memory, image, inpainter.limits)
    result = inpainter.run(_request(record, picture, is_original=image is not None))
    made = _as_kept(result.fills[0].picture, memory.picture, inpainter.limits)
    return Replayed(
        result=result,
        is_identical=pixel_hash(made) == pixel_hash(memory.picture),
        max_difference=_difference(made, memory.picture),
        notes=(
            *_lossy(memory),
            *_model_notes(record, inpainter.bundle),
            *_run_notes(record, result.fills[0]),
            *_place_notes(record, inpainter),
        ),
    )


def _input(memory: Memory, image: ImageLike | None, limits: Limits) -> Picture:
    if image is None:
        if not memory.record.is_hole_hidden:
            raise BadInput(
                "the original picture is needed: what the mask hid shows in the result",
                hint="give it as `image`",
            )
        return _as_it_came_in(memory)
    picture = decode_picture(image, limits=limits)
    if pixel_hash(picture) != memory.record.input_hash:
        raise BadInput(
            "this is not the picture that the result was made from", hint="its pixels have another hash"
        )
    return picture


def _as_it_came_in(memory: Memory) -> Picture:
    """Return the result as an input of the original's kind: WebP holds a grey picture as three equal channels."""
    picture = memory.picture
    if memory.record.input_is_grey and picture.pixels.ndim == 3:
        return picture.with_pixels(np.ascontiguousarray(picture.pixels[..., 0]))
    return picture


def _as_kept(made: Picture, saved: Picture, limits: Limits) -> Picture:
    """Return what the file's format keeps of a picture: WebP has no grey and 8 bits, and drops an opaque alpha."""
    if saved.source_format != "WEBP":
        return made
    return decode_picture(encode_picture(made, "WEBP"), limits=limits)


def _request(record: Record, picture: Picture, *, is_original: bool) -> InpaintRequest:
    if record.alpha_is_mask and is_original:
        return replace(record.request, image=picture, mask_image=None)
    # The mask was recorded as it was used: read, grown and filled.
    return replace(
        record.request,
        image=picture,
        mask_image=_as_picture(record.mask),
        mask_polarity="white",
        mask_threshold=0.5,
        grow_px=0,
        fill_holes=False,
    )


def _as_picture(mask: Mask) -> Picture:
    return Picture(mask.astype(np.uint8) * np.uint8(255), source_mode="L")


def _difference(one: Picture, other: Picture) -> float:
    planes = [(one.pixels, other.pixels), (one.alpha, other.alpha)]
    return max(_plane_difference(*pair) for pair in planes)


def _plane_difference(one: Samples | None, other: Samples | None) -> float:
    if one is None or other is None:
        return 0.0 if one is other else 1.0
    if one.shape != other.shape or one.dtype != other.dtype:
        return 1.0
    return float(np.abs(one.astype(np.int32) - other.astype(np.int32)).max() / np.iinfo(one.dtype).max)


def _lossy(memory: Memory) -> Iterator[str]:
    picture = memory.picture
    if picture.source_format in ("JPEG", "AVIF"):
        yield f"{picture.source_format} is lossy: the file does not hold the very pixels that were made"
    held = 8 * picture.pixels.itemsize
    if memory.record.input_bits > held:
        yield f"the file holds {held} of the {memory.record.input_bits} bits a sample that were made"


def _model_notes(record: Record, bundle: ModelBundle) -> Iterator[str]:
    if record.model_hash != bundle.content_hash:
        yield f"made with other weights: {record.model} {record.model_hash[:10]}"
    if record.adapters != bundle.adapters:
        made_with, has = (", ".join(names) or "none" for names in (record.adapters, bundle.adapters))
        yield f"made with another VAE, other LoRAs or embeddings: {made_with}; now: {has}"
    now = config_marks(bundle)
    named = [name for name in ("prediction_type", "scheduler") if record.config.get(name, now[name]) != now[name]]
    for name in named:
        yield f"the checkpoint's {name} was {record.config[name]}, is {now[name]}"
    if not named and record.config.get("config", now["config"]) != now["config"]:
        yield "made with another config of the checkpoint: its scheduler, sizes, scaling or variants"


def _run_notes(record: Record, fill: Fill) -> Iterator[str]:
    if fill.kept_pixels_identical is None:
        yield "the safety check replaced the new picture"
    now = fill.metadata.record["region"]
    if any(record.region[name] != now[name] for name in record.region.keys() & now.keys()):
        yield "the model saw another part of the picture, or saw it at another size"


def _place_notes(record: Record, inpainter: Inpainter) -> Iterator[str]:
    rows = inpainter.settings.rows_per_call
    if record.rows_per_call != rows:
        yield f"rows_per_call was {record.rows_per_call}, is {rows}"
    now = surroundings(inpainter.bundle)
    for group, were in record.surroundings.items():
        for name, was in were.items():
            if now[group].get(name) != was:
                yield f"{name} was {was}, is {now[group].get(name)}"
