"""A loaded model as the painter of a batch."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from retouch.batch.job import Engaged
from retouch.batch.painter import ATTEMPTS, InpaintPainter, Recipe
from retouch.batch.pictures import Roots

if TYPE_CHECKING:
    from retouch.inpainter import Inpainter
    from retouch.models.bundle import ModelBundle

_LEAST_WIDTH = 4
_QUEUED_ROWS = 4096
"""Of the engine: the batch bounds what it submits by itself, in rows and in bytes."""


@contextmanager
def engaged(
    inpainter: "Inpainter", recipe: Recipe, roots: Roots, *, attempts: int | None = None, hands: int | None = None
) -> Iterator[Engaged]:
    """Give a painter that uses an inpainter, which is closed when the block ends.

    Args:
        attempts, hands: as for `InpaintPainter`; hands are by default as many as there are processors.
    """
    with inpainter:
        tries = ATTEMPTS if attempts is None else attempts
        painter = InpaintPainter(inpainter, recipe, roots, attempts=tries, hands=hands or os.cpu_count() or 1)
        rows = inpainter.settings.rows_at_once(inpainter.bundle.row_cap)
        # Guided rows come in pairs: two calls' worth at the engine, as much again on its way in and out.
        yield Engaged(painter, max(_LEAST_WIDTH, 2 * rows), facts_of(inpainter))


def facts_of(inpainter: "Inpainter") -> dict[str, Any]:
    """Return what of a model and its place decides the pixels, as plain values."""
    bundle = inpainter.bundle
    return {
        "content_hash": bundle.content_hash,
        "adapters": list(bundle.adapters),
        "device": bundle.device.type,
        "dtype": str(bundle.dtype),
        "vae_dtype": str(bundle.vae_dtype),
        "rows_per_call": inpainter.settings.rows_per_call,
        "config": _config_of(bundle),
    }


def _config_of(bundle: "ModelBundle") -> dict[str, Any]:
    """Return what a checkpoint says beside its weights, and they do not show: it decides the pixels, too."""
    scheduler = {key: value for key, value in bundle.scheduler_config.items() if not key.startswith("_")}
    found = {
        "prediction_type": bundle.prediction_type,
        "scheduler": {**scheduler, "class": bundle.scheduler_class},
        "native_size": bundle.native_size,
        "size_multiple": bundle.size_multiple,
        "scaling_factor": bundle.scaling_factor,
        "shift_factor": bundle.shift_factor,
        "attention_head_dim": bundle.unet.config.get("attention_head_dim"),
        "hidden_act": getattr(bundle.text_encoder.config, "hidden_act", None),
        "recommended": {key: value for key, value in asdict(bundle.recommended).items() if value is not None},
    }
    # The config of a scheduler that was handed over in memory may hold arrays.
    plain: dict[str, Any] = json.loads(json.dumps(found, default=str))
    return plain


def inpainter_for_many(bundle: "ModelBundle", *, rows_per_call: int | None = None, **options: Any) -> "Inpainter":
    """Return an inpainter whose calls have the rows with which the device makes most pictures a second.

    Args:
        rows_per_call: another number; 0 packs freely.
        options: further ones of `Inpainter`.
    """
    from retouch.inpainter import Inpainter, settings_of_many

    settings = replace(settings_of_many(bundle, rows_per_call=rows_per_call), max_queued_rows=_QUEUED_ROWS)
    return Inpainter(bundle, settings=settings, **options)
