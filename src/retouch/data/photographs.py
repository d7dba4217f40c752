"""Photographs of places under permissive licences, and the square crops that backgrounds are made of."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from retouch.data.qt_resources import QtResources
from retouch.errors import BadInput

U8 = NDArray[np.uint8]
Box = tuple[float, float, float, float]
Square = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Photograph:
    """One picture of the table.

    `region` is the part that shows the place alone (left, top, right, bottom, in shares of the
    sides): animals, people and single things stay outside it. `split` is 'train' or 'validation':
    a whole picture is held out, never other crops of the same one.
    """

    source: str
    path: str
    licence: str
    author: str
    place: str
    split: str
    region: Box

    @property
    def origin(self) -> str:
        """The picture's name in a pack's records."""
        return f"{self.source}/{self.path}"


def parse_photographs(lines: Sequence[str]) -> tuple[Photograph, ...]:
    """Read the table (TSV: source, path, licence, author, place, split, region)."""
    found = []
    for row in csv.DictReader(lines, delimiter="\t"):
        left, top, right, bottom = (float(part) for part in row.pop("region").split())
        found.append(Photograph(**row, region=(left, top, right, bottom)))
    return tuple(found)


@lru_cache(maxsize=1)
def photographs() -> tuple[Photograph, ...]:
    """The shipped table, in its order."""
    text = files("retouch.data").joinpath("photographs.tsv").read_text(encoding="utf-8")
    return parse_photographs(text.splitlines())


class PhotographReader:
    """Reads photographs from unpacked sources: files of a folder, or of Qt resource files."""

    def __init__(self, roots: dict[str, Path]) -> None:
        self._roots = roots
        self._resources = cache(QtResources)

    def read(self, photograph: Photograph) -> Image.Image:
        """Return the picture's region as RGB.

        Raises:
            BadInput: the source lacks the picture.
        """
        with Image.open(io.BytesIO(self._bytes(photograph)), formats=("JPEG", "WEBP")) as picture:
            whole = picture.convert("RGB")
        left, top, right, bottom = photograph.region
        size = whole.size
        return whole.crop(
            (round(left * size[0]), round(top * size[1]), round(right * size[0]), round(bottom * size[1]))
        )

    def _bytes(self, photograph: Photograph) -> bytes:
        root = self._roots[photograph.source]
        if photograph.source == "gcompris":
            activity = photograph.path.partition("/")[0]
            return self._resources(root / f"{activity}.rcc").read(f"gcompris/src/activities/{photograph.path}")
        file = root / photograph.path
        if not file.is_file():
            raise BadInput(f"{photograph.source} has no {photograph.path}", hint="is it another version?")
        return file.read_bytes()


def squares(size: tuple[int, int], side: int, most: int, rng: np.random.Generator) -> Iterator[Square]:
    """Yield up to `most` boxes of square crops, from the largest down to `side` source pixels.

    Scales run from the whole height or width to crops at the source's own resolution, evenly in
    the logarithm; at each, places are spread along the longer side. Small pictures give few.
    """
    whole = min(size)
    smallest = min(side, whole)
    # Fewer crops than squares of `side` would fit, so that they seldom show the same.
    fitting = size[0] * size[1] / smallest**2
    count = int(np.clip(round(0.8 * fitting), 1, most))
    for i in range(count):
        share = i / max(count - 1, 1)
        cut = round(whole * (smallest / whole) ** share)
        free = (size[0] - cut, size[1] - cut)
        # Golden-ratio steps spread any number of crops about evenly.
        along = (i * 0.618034 + float(rng.uniform(0, 0.2))) % 1
        across = (i * 0.754878 + float(rng.uniform(0, 0.2))) % 1
        left, top = round(free[0] * along), round(free[1] * across)
        yield left, top, left + cut, top + cut


def cut_photograph(picture: Image.Image, most: int, rng: np.random.Generator, *, side: int) -> Iterator[U8]:
    """Yield square crops of a photograph, reduced to `side` pixels."""
    for box in squares(picture.size, side, most, rng):
        small = picture.resize((side, side), Image.Resampling.LANCZOS, box=box)
        yield np.asarray(small)
