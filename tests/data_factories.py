"""A tiny training-data folder, drawn rather than fetched, for tests that need real scenes."""

from pathlib import Path

import numpy as np

from retouch.data.backgrounds import BackgroundPool
from retouch.data.grounds import draw_ground
from retouch.data.solids import draw_solid
from retouch.data.sprites import SpritePack

SOLIDS = {
    "bench": ("bench-1", "bench-2", "bench-3"),
    "ball": ("ball-1", "ball-2", "ball-3"),
    "vase": ("vase-1", "vase-2"),
    "cup": ("mug-1",),
}
GROUNDS = {"train": ("grass", "brick", "studio"), "validation": ("sand", "wood")}
_PLACES = {"studio": "plain"}


def make_data(folder: Path) -> Path:
    """Write sprites of four concepts and five backgrounds; the third bench and ball are held out.

    What the second bench and ball are called is what `variants.tsv` calls them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    records = [
        {
            "concept": concept,
            "kind": "3d",
            "source": "drawn",
            "path": name,
            "licence": "Apache-2.0",
            "split": "validation" if i == 2 else "train",
        }
        for concept, names in SOLIDS.items()
        for i, name in enumerate(names)
    ]
    pictures = [draw_solid(name, _no_blooms) for names in SOLIDS.values() for name in names]
    SpritePack.write(folder, pictures, records)
    rng = np.random.default_rng(0)
    places = [
        {"place": _PLACES.get(name, name), "origin": f"drawn/{name}", "split": split, "licence": "Apache-2.0"}
        for split, names in GROUNDS.items()
        for name in names
    ]
    grounds = [draw_ground(name, rng, 96) for names in GROUNDS.values() for name in names]
    BackgroundPool.write(folder, grounds, places)
    return folder


def _no_blooms(name: str) -> np.ndarray:
    raise KeyError(name)
