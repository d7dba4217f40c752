"""Build the embedded model's data folder: fetch, check licences, pack, and say what is inside."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from retouch.data.backgrounds import PANORAMAS, Amounts, BackgroundPool, build_pool
from retouch.data.pack import Record
from retouch.data.packages import fetch, sha256, unpacked
from retouch.data.photographs import Photograph, PhotographReader, photographs
from retouch.data.solids import draw_solid
from retouch.data.sources import SOURCES, LicencePolicy, admits
from retouch.data.sprites import SIDE_PX, SpritePack
from retouch.data.vectors import SymbolSheet, read_rgba, render_svg
from retouch.data.vocabulary import Concept, MoreSprite, Styles, concepts, more_sprites
from retouch.errors import BadInput

U8 = NDArray[np.uint8]
SpriteReader = Callable[[str, str], U8]
MANIFEST_NAME = "manifest.json"
# The flowers that stand in the drawn vases.
_BLOOMS = {"tulip": "1f337", "rose": "1f339", "sunflower": "1f33b"}


@dataclass(frozen=True, slots=True)
class BuildOptions:
    """What goes into the packs, and how much of it.

    Attributes:
        licences: which licences may enter; the released model was trained on 'permissive'.
        styles: 'all' (the released model), or '3d' for the consistent renders alone.
        amounts: how many backgrounds of each kind.
        seed: of every random choice.
    """

    licences: LicencePolicy = "permissive"
    styles: Styles = "all"
    amounts: Amounts = field(default_factory=Amounts)
    seed: int = 0


def build_pocket(packages: Path, out: Path, options: BuildOptions | None = None) -> Path:
    """Write `sprites.npz`, `backgrounds.npz`, `manifest.json` and `LICENCES.md` to `out`.

    Args:
        packages: folder of package archives; those that are missing are fetched into it.
    Raises:
        BadInput: a package is damaged, or its client is not installed.
        Unavailable: a package could not be fetched.
        MissingExtra: a library of the `train` extra is missing.
    """
    chosen = options or BuildOptions()
    records = list(sprite_records(concepts(), more_sprites(), chosen))
    scenes = [photograph for photograph in photographs() if admits(chosen.licences, photograph.licence)]
    keys = {record["source"] for record in records} | {name.split("/")[0] for name in PANORAMAS}
    keys |= {photograph.source for photograph in scenes}
    sources = [SOURCES[key] for key in sorted(keys) if SOURCES[key].client != "own"]
    archives = {source.key: fetch(source, packages) for source in sources}
    with unpacked(sources, archives, out) as roots:
        read = sprite_reader(roots)
        SpritePack.write(out, [read(record["source"], record["path"]) for record in records], records)
        pictures, places = build_pool(
            panorama_paths(roots), places_in(scenes, roots), np.random.default_rng(chosen.seed), chosen.amounts
        )
    BackgroundPool.write(out, pictures, places)
    _write_manifest(out, chosen, archives, (records, places))
    notices = files("retouch.data").joinpath("LICENCES.md").read_text(encoding="utf-8")
    (out / "LICENCES.md").write_text(notices, encoding="utf-8")
    return out


def sprite_records(
    table: Sequence[Concept], more: Sequence[MoreSprite], options: BuildOptions
) -> Iterator[Record]:
    """Yield a record for each sprite that the options admit.

    Of a concept's three or more sprites of the main style, the last is held out for validation.
    """
    for concept in table:
        found = [(key, "3d", SOURCES[key.partition(":")[0]].licence) for key in concept.sprites]
        mains = len(found)
        if options.styles == "all":
            found += [(extra.sprite, extra.kind, extra.licence) for extra in more if extra.concept == concept.name]
        for i, (key, kind, licence) in enumerate(found):
            source, _, path = key.partition(":")
            if not admits(options.licences, licence):
                continue
            yield {
                "concept": concept.name,
                "category": concept.category,
                "kind": kind,
                "source": source,
                "package": SOURCES[source].package,
                "version": SOURCES[source].version,
                "path": path,
                "licence": licence,
                "split": "validation" if mains >= 3 and i == mains - 1 else "train",
            }


def sprite_reader(roots: dict[str, Path]) -> SpriteReader:
    """Return a function from (source key, path) to a sprite's RGBA pixels."""
    sheet = cache(SymbolSheet)

    def read(source: str, path: str) -> U8:
        if source == "drawn":
            return draw_solid(path, lambda bloom: read("fluent", _BLOOMS[bloom]))
        if source == "noto":
            return render_svg(sheet(roots[source] / "all.svg").drawing(path), SIDE_PX * 2)
        file = roots[source] / (f"{path}.webp" if source == "fluent" else path)
        if not file.is_file():
            raise BadInput(f"{SOURCES[source].package} has no {path}", hint="is it another version?")
        if file.suffix == ".svg":
            return render_svg(file.read_text(encoding="utf-8", errors="replace"), SIDE_PX * 2)
        return read_rgba(file.read_bytes())

    return read


def panorama_paths(roots: dict[str, Path]) -> dict[str, Path]:
    """Return the file of every known panorama that the unpacked sources hold."""
    endings = {"pmndrs": ".exr.js", "blender": ".exr"}
    paths: dict[str, Path] = {}
    for name in PANORAMAS:
        source, _, stem = name.partition("/")
        if source in roots:
            paths[name] = roots[source] / (stem + endings[source])
    return paths


def places_in(scenes: Sequence[Photograph], roots: dict[str, Path]) -> Iterator[tuple[Photograph, Image.Image]]:
    """Yield each photograph with its region's pixels."""
    reader = PhotographReader(roots)
    for photograph in scenes:
        yield photograph, reader.read(photograph)


def _write_manifest(
    out: Path, options: BuildOptions, archives: dict[str, Path], records: tuple[list[Record], list[Record]]
) -> None:
    sprites, backgrounds = records
    used = {record["source"] for record in sprites} | set(archives) | {"drawn"}
    manifest = {
        "format": 1,
        "licences": options.licences,
        "styles": options.styles,
        "seed": options.seed,
        "concepts": len({record["concept"] for record in sprites}),
        "sprites": len(sprites),
        "backgrounds": len(backgrounds),
        "held_out_places": sorted({record["origin"] for record in backgrounds if record["split"] == "validation"}),
        "picture_licences": sorted({record["licence"] for record in (*sprites, *backgrounds)}),
        "sources": [
            {
                "package": SOURCES[key].package,
                "version": SOURCES[key].version,
                "licence": SOURCES[key].licence,
                "title": SOURCES[key].title,
                "archive": archives[key].name if key in archives else None,
                "sha256": sha256(archives[key]) if key in archives else None,
            }
            for key in sorted(used)
        ],
    }
    (out / MANIFEST_NAME).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
