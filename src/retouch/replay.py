"""Making a result again from what it remembers, and telling whether it came out the same."""

from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from retouch.engine.settings import EngineSettings
from retouch.errors import BadInput, ModelError, ModelNotFound
from retouch.imaging.decode import ImageLike, decode_picture
from retouch.imaging.metadata import pixel_hash, read_metadata
from retouch.imaging.morphology import Mask
from retouch.imaging.picture import Picture
from retouch.imaging.sources import read_bytes
from retouch.inpainter import Inpainter
from retouch.models.bundle import ModelBundle
from retouch.models.options import DEFAULT_OPTIONS, LoadOptions
from retouch.models.registry import describe, list_models
from retouch.record import Record, parse_record, surroundings
from retouch.request import DEFAULT_LIMITS, InpaintRequest, Limits
from retouch.result import InpaintResult


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
        is_identical: every sample of its picture, alpha included, equals the file's.
        max_difference: the largest difference of a sample, as a share of the peak; 1 for another size or depth.
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
    made = result.fills[0].picture
    return Replayed(
        result=result,
        is_identical=pixel_hash(made) == pixel_hash(memory.picture),
        max_difference=_difference(made, memory.picture),
        notes=(*_lossy(memory.picture), *_notes(record, inpainter)),
    )


def _input(memory: Memory, image: ImageLike | None, limits: Limits) -> Picture:
    if image is None:
        if not memory.record.is_hole_hidden:
            raise BadInput(
                "the original picture is needed: what the mask hid shows in the result",
                hint="give it as `image`",
            )
        return memory.picture
    picture = decode_picture(image, limits=limits)
    if pixel_hash(picture) != memory.record.input_hash:
        raise BadInput(
            "this is not the picture that the result was made from", hint="its pixels have another hash"
        )
    return picture


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
    if one.pixels.shape != other.pixels.shape or one.pixels.dtype != other.pixels.dtype:
        return 1.0
    return float(np.abs(one.pixels.astype(np.int32) - other.pixels.astype(np.int32)).max() / one.peak)


def _lossy(picture: Picture) -> tuple[str, ...]:
    if picture.source_format not in ("JPEG", "AVIF"):
        return ()
    return (f"{picture.source_format} is lossy: the file does not hold the very pixels that were made",)


def _notes(record: Record, inpainter: Inpainter) -> tuple[str, ...]:
    notes = []
    if record.model_hash != inpainter.bundle.content_hash:
        notes.append(f"made with other weights: {record.model} {record.model_hash[:10]}")
    if record.adapters != inpainter.bundle.adapters:
        made_with, has = (", ".join(names) or "none" for names in (record.adapters, inpainter.bundle.adapters))
        notes.append(f"made with another VAE, other LoRAs or embeddings: {made_with}; now: {has}")
    rows = inpainter.settings.rows_per_call
    if record.rows_per_call != rows:
        notes.append(f"rows_per_call was {record.rows_per_call}, is {rows}")
    now = surroundings(inpainter.bundle)
    for group, were in record.surroundings.items():
        for name, was in were.items():
            if now[group].get(name) != was:
                notes.append(f"{name} was {was}, is {now[group].get(name)}")
    return tuple(notes)
