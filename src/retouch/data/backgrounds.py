"""A pool of square backgrounds, each with the place it shows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from retouch.data.grounds import GROUNDS, draw_ground
from retouch.data.pack import Record, decode, encode, read_pack, write_pack
from retouch.data.panorama import View, cut, develop, read_exr
from retouch.data.photographs import Photograph, cut_photograph
from retouch.data.vocabulary import PLACES, Place

U8 = NDArray[np.uint8]
FILE_NAME = "backgrounds.npz"
SIDE_PX = 384
# Chosen for the size of the file: the packs travel to the machine that trains.
QUALITY = 75

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
GROUND_PLACES: dict[str, str] = dict.fromkeys(("studio", "gradient", "painted-wall", "blend", "lights"), "plain")


@dataclass(frozen=True, slots=True)
class Amounts:
    """How many backgrounds of each kind.

    Attributes:
        per_panorama: views cut from each panorama; of a coarse one, half as many.
        per_photograph: the most crops of one photograph; small ones give fewer.
        per_ground: pictures of each procedural ground.
    """

    per_panorama: int = 12
    per_photograph: int = 14
    per_ground: int = 10


@dataclass(frozen=True, slots=True)
class Background:
    """One decoded background (side, side, 3) and its place."""

    pixels: U8
    place: Place
    origin: str


def is_coarse(name: str) -> bool:
    """Whether a panorama is only 512 pixels around: its views are soft, so they are wide and few."""
    return name.startswith("pmndrs/")


def views(name: str, count: int, rng: np.random.Generator) -> Iterator[View]:
    """Spread `count` cameras around a panorama; the sky's look up, all others about ahead."""
    widths = (95, 120) if is_coarse(name) else (70, 110)
    for i in range(count):
        yaw = 360 * (i + float(rng.uniform(0, 1))) / count
        pitch = rng.uniform(4, 40) if name.endswith("/sky") else rng.uniform(-32, 8)
        yield View(yaw=yaw, pitch=float(pitch), fov=float(rng.uniform(*widths)))


def cut_panorama(
    path: Path, name: str, count: int, rng: np.random.Generator, *, side: int = SIDE_PX
) -> Iterator[U8]:
    """Yield `count` developed views of the panorama at `path`, from dark to bright exposures."""
    linear = read_exr(path)
    for view in views(name, count, rng):
        # Twice the side, then reduced: a bilinear cut alone shimmers where the source is finer.
        wide = develop(cut(linear, view, side * 2), key=float(rng.uniform(0.11, 0.3)))
        small = Image.fromarray(wide).resize((side, side), Image.Resampling.BOX)
        yield np.asarray(small)


def build_pool(
    panoramas: dict[str, Path],
    photographs: Iterable[tuple[Photograph, Image.Image]],
    rng: np.random.Generator,
    amounts: Amounts,
) -> tuple[list[U8], list[Record]]:
    """Cut and draw the whole pool: pictures and their records.

    Args:
        panoramas: the file of each panorama.
        photographs: rows of the table, each with the picture's region.
    """
    pictures: list[U8] = []
    records: list[Record] = []

    def keep(picture: U8, place: str, origin: str, licence: str, split: str = "train") -> None:
        pictures.append(picture)
        records.append({"place": place, "origin": origin, "split": split, "licence": licence})

    for name, path in sorted(panoramas.items()):
        split = "validation" if name in HELD_OUT else "train"
        count = -(-amounts.per_panorama // 2) if is_coarse(name) else amounts.per_panorama
        for picture in cut_panorama(path, name, count, rng):
            keep(picture, PANORAMAS[name], name, "CC0-1.0", split)
    for photograph, image in photographs:
        for picture in cut_photograph(image, amounts.per_photograph, rng, side=SIDE_PX):
            keep(picture, photograph.place, photograph.origin, photograph.licence, photograph.split)
    for ground in GROUNDS:
        for _ in range(amounts.per_ground):
            picture = draw_ground(ground, rng, SIDE_PX)
            keep(picture, GROUND_PLACES.get(ground, ground), f"drawn/{ground}", "Apache-2.0")
    return pictures, records


class BackgroundPool:
    """A file of backgrounds, decoded when first asked for (about 440 KB each in memory)."""

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
        write_pack(path, [encode(picture, quality=QUALITY) for picture in pictures], records)
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
