"""Inputs of batches, and a painter of no cost."""

import base64
import csv
import hashlib
import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np

from retouch.batch.entry import Painted
from retouch.batch.job import Batch, Engaged
from retouch.batch.painter import Recipe, failed, head_of
from retouch.batch.pictures import Roots
from retouch.batch.places import Place
from retouch.batch.readers.source import open_source
from retouch.batch.rows import Row
from retouch.errors import Cancelled
from retouch.imaging.png_chunks import chunk
from retouch.request import DEFAULT_LIMITS

SIDE = 32


def picture_png(seed: int = 0, side: int = SIDE) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)
    return bytes(imagecodecs.png_encode(pixels))


def mask_png(side: int = SIDE) -> bytes:
    mask = np.zeros((side, side), np.uint8)
    mask[side // 4 : side // 2, side // 4 : side // 2] = 255
    return bytes(imagecodecs.png_encode(mask))


def base64_of(data: bytes) -> str:
    """With ends of lines, as `base64.encodebytes` writes it."""
    return base64.encodebytes(data).decode()


def inline_row(number: int = 0, prompt: str = "a red apple", /, **more: Any) -> dict[str, Any]:
    cells = {"image": base64_of(picture_png(number)), "mask_image": base64_of(mask_png()), "prompt": prompt}
    return {**cells, **more}


def write_csv(path: Path, rows: Sequence[Mapping[str, Any]], *, index: bool = False) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    names = list(rows[0])
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["", *names] if index else names)
        for number, row in enumerate(rows):
            writer.writerow([*([number] if index else []), *(row[name] for name in names)])
    return path


def write_jsonl(path: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


class StandIn:
    """Paints in no time: a small picture that follows from prompt and seed. `gate`, if given, lets rows pass."""

    def __init__(self, batch: Batch, *, gate: threading.Event | None = None) -> None:
        self._batch = batch
        self._gate = gate
        self.painted: list[int] = []
        self._is_cancelled = threading.Event()

    def paint(self, row: Row) -> Painted:
        if self._gate is not None:
            self._gate.wait()
        if self._is_cancelled.is_set():
            raise Cancelled("stopped")
        self.painted.append(row.number)
        asked = None
        try:
            asked, request = self._batch.recipe.request(row, self._batch.roots, DEFAULT_LIMITS)
        except Exception as error:  # noqa: BLE001 - as the painter does
            return failed(row, asked, error)
        record = head_of(row, asked) | {"seed": request.seed, "nsfw_content_detected": False}
        return Painted(row.number, "done", record, (stand_in_picture(request.prompt, request.seed or 0),))

    def cancel(self) -> None:
        self._is_cancelled.set()
        if self._gate is not None:
            self._gate.set()


def stand_in_picture(prompt: str, seed: int) -> bytes:
    """A PNG of 8 by 8 pixels with a kilobyte beside them."""
    digest = hashlib.sha256(f"{prompt} {seed}".encode()).digest()
    pixels = np.frombuffer(digest * 6, np.uint8).reshape(8, 8, 3)
    plain = bytes(imagecodecs.png_encode(pixels))
    return plain[:33] + chunk(b"teSt", digest * 32) + plain[33:]


def batch_of(source: str | Path, output: Path, **more: Any) -> Batch:
    """A batch as the command line makes it; `recipe` fields may be given as `fields`, `seed`, `columns`."""
    found = open_source(str(source))
    recipe = Recipe(**{name: more.pop(name) for name in ("fields", "seed", "columns") if name in more})
    roots = more.pop("roots", Roots((Place.of(found.folder),)))
    return Batch(source=found, output=output, recipe=recipe, roots=roots, **more)


@contextmanager
def stand_in(batch: Batch, painter: Any = None, width: int = 4) -> Iterator[Engaged]:
    yield Engaged(painter or StandIn(batch), width, {"content_hash": "stand-in"})


def results_of(output: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (output / "results.jsonl").read_text().splitlines()]


def hashes_of(output: Path) -> dict[str, str]:
    """Return the hash of every picture by its name."""
    files = sorted((output / "pictures").rglob("*.png"))
    return {str(path.relative_to(output)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def temporaries_of(output: Path) -> list[Path]:
    return list(output.rglob(".*.tmp"))
