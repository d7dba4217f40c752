"""A loaded model as the painter of a batch."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from retouch.batch.job import Engaged
from retouch.batch.painter import ATTEMPTS, InpaintPainter, Recipe
from retouch.batch.pictures import Roots
from retouch.models.facts import config_of

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
        "config": config_of(bundle),
    }


def inpainter_for_many(bundle: "ModelBundle", *, rows_per_call: int | None = None, **options: Any) -> "Inpainter":
    """Return an inpainter whose calls have the rows with which the device makes most pictures a second.

    Args:
        rows_per_call: another number; 0 packs freely.
        options: further ones of `Inpainter`.
    """
    from retouch.inpainter import Inpainter, settings_of_many

    settings = replace(settings_of_many(bundle, rows_per_call=rows_per_call), max_queued_rows=_QUEUED_ROWS)
    return Inpainter(bundle, settings=settings, **options)
