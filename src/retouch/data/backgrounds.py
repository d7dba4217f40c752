"""A pool of square backgrounds, each with the place it shows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from retouch.data.grounds import GROUNDS, draw_ground
from retouch.data.pack import Record, decode, encode, read_pack, write_pack
from retouch.data.panorama import View, cut, develop, read_exr
from retouch.data.vocabulary import PLACES, Place

U8 = NDArray[np.uint8]
FILE_NAME = "backgrounds.npz"
SIDE_PX = 192

# Panorama -> place. Those marked held are for validation alone; every held place's words also
# occur in training, from another panorama.
PANORAMAS: dict[str, str] = {
    "pmndrs/apartment": "room",
    "pmndrs/bridge": "corridor",
    "pmndrs/city": "street",
    "pmndrs/dawn": "desert",
    "pmndrs/esplanade": "mall",
    "pmndrs/forest": "forest",
    "pmndrs/hall": "hall",
    "pmndrs/lab": "laboratory",
    "pmndrs/lobby": "room",
    "pmndrs/night": "field",
    "pmndrs/park": "park",
    "pmndrs/sky": "sky",
    "pmndrs/studio": "studio",
    "pmndrs/sunrise": "field",
    "pmndrs/sunset": "square",
    "pmndrs/venice": "waterfront",
    "pmndrs/warehouse": "warehouse",
    "pmndrs/workshop": "workshop",
    "blender/city": "street",
    "blender/courtyard": "courtyard",
    "blender/forest": "garden",
    "blender/interior": "bedroom",
    "blender/night": "field",
}
HELD_OUT = frozenset({"pmndrs/city", "pmndrs/lobby", "pmndrs/night", "blender/courtyard"})
GROUND_PLACES: dict[str, str] = {"studio": "plain", "gradient": "plain"}


@dataclass(frozen=True, slots=True)
class Background:
    """One decoded background (side, side, 3) and its place."""

    pixels: U8
    place: Place
    origin: str


def views(name: str, count: int, rng: np.random.Generator) -> Iterator[View]:
    """Spread `count` cameras around a panorama; the sky's look up, all others about ahead."""
    for i in range(count):
        yaw = 360 * (i + float(rng.uniform(0, 1))) / count
        pitch = rng.uniform(4, 40) if name.endswith("/sky") else rng.uniform(-32, 8)
        yield View(yaw=yaw, pitch=float(pitch), fov=float(rng.uniform(60, 95)))


def cut_panorama(
    path: Path, name: str, count: int, rng: np.random.Generator, *, side: int = SIDE_PX
) -> Iterator[U8]:
    """Yield `count` developed views of the panorama at `path`."""
    linear = read_exr(path)
    for view in views(name, count, rng):
        # Twice the side, then reduced: a bilinear cut alone shimmers where the source is finer.
        wide = develop(cut(linear, view, side * 2), key=float(rng.uniform(0.16, 0.26)))
        small = Image.fromarray(wide).resize((side, side), Image.Resampling.BOX)
        yield np.asarray(small)


def build_pool(
    panoramas: dict[str, Path], rng: np.random.Generator, *, per_panorama: int, per_ground: int
) -> tuple[list[U8], list[Record]]:
    """Cut and draw the whole pool: pictures and their records."""
    pictures: list[U8] = []
    records: list[Record] = []
    for name, path in sorted(panoramas.items()):
        split = "validation" if name in HELD_OUT else "train"
        for picture in cut_panorama(path, name, per_panorama, rng):
            pictures.append(picture)
            records.append({"place": PANORAMAS[name], "origin": name, "split": split, "licence": "CC0-1.0"})
    for ground in GROUNDS:
        for _ in range(per_ground):
            pictures.append(draw_ground(ground, rng, SIDE_PX))
            records.append(
                {
                    "place": GROUND_PLACES.get(ground, ground),
                    "origin": f"drawn/{ground}",
                    "split": "train",
                    "licence": "Apache-2.0",
                }
            )
    return pictures, records


class BackgroundPool:
    """A file of backgrounds, decoded when first asked for (about 110 KB each in memory)."""

    def __init__(self, blobs: Sequence[bytes], records: Sequence[Record]) -> None:
        self._blobs = list(blobs)
        self.records = list(records)
        self._decoded: dict[int, Background] = {}

    @classmethod
    def open(cls, folder: Path) -> BackgroundPool:
        """Open `backgrounds.npz` in a data folder."""
        return cls(*read_pack(folder / FILE_NAME))

    @staticmethod
    def write(folder: Path, pictures: Sequence[U8], records: Sequence[Record]) -> Path:
        """Encode and write backgrounds with their records (place, origin, split, licence)."""
        path = folder / FILE_NAME
        write_pack(path, [encode(picture, quality=88) for picture in pictures], records)
        return path

    def __len__(self) -> int:
        return len(self._blobs)

    def background(self, index: int) -> Background:
        """Return background `index`, decoded."""
        if index not in self._decoded:
            record = self.records[index]
            self._decoded[index] = Background(
                pixels=decode(self._blobs[index], "RGB"),
                place=PLACES[record["place"]],
                origin=record["origin"],
            )
        return self._decoded[index]

    def of_split(self, split: str) -> list[int]:
        """Return the numbers of a split's backgrounds."""
        return [i for i, record in enumerate(self.records) if record["split"] == split]
