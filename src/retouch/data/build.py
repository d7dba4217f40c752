"""Build the embedded model's data folder from downloaded packages."""

from __future__ import annotations

import argparse
import io
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from retouch.data.backgrounds import PANORAMAS, BackgroundPool, build_pool
from retouch.data.pack import Record
from retouch.data.solids import draw_solid
from retouch.data.sources import SOURCES, LicencePolicy, allowed
from retouch.data.sprites import SpritePack
from retouch.data.vocabulary import Concept, concepts

U8 = NDArray[np.uint8]
# The flowers that stand in the drawn vases.
_BLOOMS = {"tulip": "1f337", "rose": "1f339", "sunflower": "1f33b"}


def find_archive(packages: Path, key: str) -> Path:
    """Return the newest archive of a source in a folder of downloads.

    Raises:
        FileNotFoundError: it is not there.
    """
    found = sorted(packages.glob(SOURCES[key].archive))
    if not found:
        raise FileNotFoundError(f"{SOURCES[key].archive} is not in {packages}")
    return found[-1]


def unpack(archive: Path, target: Path) -> Path:
    """Extract a `.tgz` (npm) or `.deb` into `target`; links and outside paths are refused."""
    done = target / ".complete"
    if done.exists():
        return target
    target.mkdir(parents=True, exist_ok=True)
    if archive.suffix == ".deb":
        subprocess.run(["dpkg-deb", "-x", str(archive), str(target)], check=True)
    else:
        with tarfile.open(archive) as tar:
            tar.extractall(target, filter="data")
    done.touch()
    return target


def panorama_paths(roots: dict[str, Path]) -> dict[str, Path]:
    """Return the file of every known panorama that the unpacked sources hold."""
    patterns = {
        "pmndrs": "package/hdri/{}.exr.js",
        "blender": "usr/share/blender/datafiles/studiolights/world/{}.exr",
    }
    paths: dict[str, Path] = {}
    for name in PANORAMAS:
        source, stem = name.split("/")
        if source in roots:
            paths[name] = roots[source] / patterns[source].format(stem)
    return paths


def read_rgba(path: Path) -> U8:
    """Read a picture file as (H, W, 4) bytes."""
    with Image.open(io.BytesIO(path.read_bytes())) as picture:
        return np.asarray(picture.convert("RGBA"))


def sprite_reader(roots: dict[str, Path]) -> Callable[[str, str], U8]:
    """Return a function from (source key, name) to a sprite's pixels."""

    def fluent(name: str) -> U8:
        return read_rgba(roots["fluent"] / "package" / "assets" / f"{name}.webp")

    def read(source: str, name: str) -> U8:
        if source == "drawn":
            return draw_solid(name, lambda bloom: fluent(_BLOOMS[bloom]))
        return fluent(name)

    return read


def sprite_records(table: tuple[Concept, ...], licences: LicencePolicy) -> Iterator[Record]:
    """Yield a record for each sprite; the last of three or more is held out for validation."""
    admitted = allowed(licences)
    for concept in table:
        parts = (key.partition(":") for key in concept.sprites)
        keys = [(source, name) for source, _, name in parts if source in admitted]
        for i, (source, name) in enumerate(keys):
            is_held = len(keys) >= 3 and i == len(keys) - 1
            yield {
                "concept": concept.name,
                "category": concept.category,
                "kind": "3d",
                "source": source,
                "package": admitted[source].package,
                "version": admitted[source].version,
                "path": name,
                "licence": admitted[source].licence,
                "split": "validation" if is_held else "train",
            }


def build(
    packages: Path,
    out: Path,
    *,
    licences: LicencePolicy = "permissive",
    per_panorama: int = 28,
    per_ground: int = 14,
    seed: int = 0,
) -> Path:
    """Build `sprites.npz` and `backgrounds.npz` in `out` from archives in `packages`."""
    out.mkdir(parents=True, exist_ok=True)
    roots = {
        key: unpack(find_archive(packages, key), out / "unpacked" / key) for key in ("fluent", "pmndrs", "blender")
    }
    records = list(sprite_records(concepts(), licences))
    read = sprite_reader(roots)
    SpritePack.write(out, [read(r["source"], r["path"]) for r in records], records)
    rng = np.random.default_rng(seed)
    pictures, places = build_pool(panorama_paths(roots), rng, per_panorama=per_panorama, per_ground=per_ground)
    BackgroundPool.write(out, pictures, places)
    return out


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--packages", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    build(arguments.packages, arguments.out)
