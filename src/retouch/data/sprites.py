"""Cut-out pictures of single objects, packed small, with their names and licences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from retouch.data import colour
from retouch.data.pack import Record, decode, encode, read_pack, write_pack

U8 = NDArray[np.uint8]
FILE_NAME = "sprites.npz"
SIDE_PX = 256


@dataclass(frozen=True, slots=True)
class Sprite:
    """One decoded cut-out.

    `pixels` is (H, W, 4) with straight alpha, trimmed to its opaque box; `lightness` (H, W) holds
    OKLab lightness x 255, kept because recolouring only needs that.
    """

    concept: str
    kind: str
    licence: str
    pixels: U8
    lightness: U8
    spread: tuple[float, float, float]

    def painted(self, name: str | None, *, variant: int = 0) -> U8:
        """Return the pixels in a named colour, or as they are for None."""
        if name is None:
            return self.pixels
        table = colour.shade_lookup(name, self.spread, variant=variant)
        return np.concatenate([table[self.lightness], self.pixels[..., 3:]], axis=-1)


def reduce(rgba: U8, side: int = SIDE_PX) -> U8:
    """Trim transparent borders and scale the longest side down to `side` pixels.

    Raises:
        ValueError: nothing in the picture is opaque.
    """
    picture = Image.fromarray(rgba)
    opaque = picture.getchannel("A").point(lambda value: 255 * (value > 8))
    box = opaque.getbbox()
    if box is None:
        raise ValueError("the picture is wholly transparent")
    picture = picture.crop(box)
    scale = side / max(picture.size)
    if scale < 1:
        size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
        # Premultiplied, so that hidden colours do not bleed into the edge.
        picture = picture.convert("RGBa").resize(size, Image.Resampling.LANCZOS).convert("RGBA")
    return np.asarray(picture)


class SpritePack:
    """A file of sprites, decoded one by one when they are first asked for.

    Not safe to share between threads while it decodes; processes may each open their own.
    """

    def __init__(self, blobs: Sequence[bytes], records: Sequence[Record]) -> None:
        self._blobs = list(blobs)
        self.records = list(records)
        self._decoded: dict[int, Sprite] = {}

    @classmethod
    def open(cls, folder: Path) -> SpritePack:
        """Open `sprites.npz` in a data folder."""
        return cls(*read_pack(folder / FILE_NAME))

    @staticmethod
    def write(folder: Path, pictures: Sequence[U8], records: Sequence[Record]) -> Path:
        """Reduce, encode and write pictures; each record names concept, kind, licence, split."""
        path = folder / FILE_NAME
        write_pack(path, [encode(reduce(picture)) for picture in pictures], records)
        return path

    def __len__(self) -> int:
        return len(self._blobs)

    def sprite(self, index: int) -> Sprite:
        """Return sprite `index`, decoded."""
        if index not in self._decoded:
            pixels = decode(self._blobs[index], "RGBA")
            lightness = colour.lightness_bytes(pixels[..., :3])
            record = self.records[index]
            self._decoded[index] = Sprite(
                concept=record["concept"],
                kind=record["kind"],
                licence=record["licence"],
                pixels=pixels,
                lightness=lightness,
                spread=colour.lightness_range(lightness, pixels[..., 3]),
            )
        return self._decoded[index]

    def by_concept(self, split: str) -> dict[str, list[int]]:
        """Return sprite numbers by concept: training ones, or validation's.

        In validation a concept's held-out sprites stand alone where it has any.
        """
        train: dict[str, list[int]] = {}
        held: dict[str, list[int]] = {}
        for index, record in enumerate(self.records):
            home = held if record.get("split") == "validation" else train
            home.setdefault(record["concept"], []).append(index)
        return train if split == "train" else {**train, **held}
