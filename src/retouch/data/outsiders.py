"""Drawings of the vocabulary's objects by hands that no model here learns from, for a judge of its own opinion.

Two icon sets to learn from, and a third that shows how good the judge is on a hand that it has not seen.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retouch.data.pack import Record
from retouch.data.packages import fetch, unpacked
from retouch.data.sources import Source
from retouch.data.sprites import SIDE_PX, SpritePack
from retouch.data.vectors import render_svg
from retouch.data.vocabulary import Concept, concepts

U8 = NDArray[np.uint8]


def _icon_set(name: str, version: str, licence: str, title: str) -> Source:
    return Source(
        key=name,
        client="npm",
        package=f"@iconify-json/{name}",
        version=version,
        archive=f"iconify-json-{name}-*.tgz",
        folder="package",
        licence=licence,
        title=title,
    )


ICON_SETS: tuple[Source, ...] = (
    _icon_set("twemoji", "1.2.5", "CC-BY-4.0", "Twemoji (Twitter)"),
    _icon_set("emojione", "1.2.3", "CC-BY-4.0", "EmojiOne 2"),
    _icon_set("noto-v1", "1.2.5", "Apache-2.0", "Noto Emoji of 2013 to 2017 (Google)"),
)
HELD_OUT_SET = "noto-v1"
_NAMED_BY = "twemoji"  # the one set that says which name a code point has; the others use the same names


class IconSet:
    """Drawings by name, as Iconify packs them: bodies of SVG documents in one JSON file."""

    def __init__(self, folder: Path) -> None:
        self._content: dict[str, Any] = json.loads((folder / "icons.json").read_text(encoding="utf-8"))

    def __contains__(self, name: str) -> bool:
        return name in self._content["icons"]

    def svg(self, name: str) -> str:
        """Return a drawing as an SVG document."""
        icon = self._content["icons"][name]
        left, top, width, height = (
            icon.get(side, self._content.get(side, usual))
            for side, usual in (("left", 0), ("top", 0), ("width", 16), ("height", 16))
        )
        head = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
        return f'<svg {head} viewBox="{left} {top} {width} {height}">{icon["body"]}</svg>'


def build_outsiders(packages: Path, out: Path) -> Path:
    """Write `sprites.npz` to `out`: a picture of every concept that the icon sets have.

    Args:
        packages: folder of package archives; those that are missing are fetched into it.
    Raises:
        BadInput: a package is damaged, or its client is not installed.
        Unavailable: a package could not be fetched.
        MissingExtra: a library of the `train` extra is missing.
    """
    archives = {source.key: fetch(source, packages) for source in ICON_SETS}
    with unpacked(ICON_SETS, archives, out) as roots:
        names: dict[str, str] = json.loads((roots[_NAMED_BY] / "chars.json").read_text(encoding="utf-8"))
        sets = {key: IconSet(root) for key, root in roots.items()}
        records = list(outsider_records(concepts(), names, sets))
        pictures = [render_svg(sets[record["source"]].svg(record["path"]), SIDE_PX * 2) for record in records]
    SpritePack.write(out, pictures, records)
    return out


def outsider_records(
    table: Sequence[Concept], names: dict[str, str], sets: dict[str, IconSet]
) -> Iterator[Record]:
    """Yield a record for every drawing of a concept in every set.

    Args:
        names: of the drawings, by code point in the form of the vocabulary's own emoji.
        sets: by the keys of `ICON_SETS`.
    """
    for concept in table:
        points = [key.partition(":")[2] for key in concept.sprites if key.startswith("fluent:")]
        wanted = {names.get(point) or names.get(point.removesuffix("-fe0f")) for point in points}
        for source in ICON_SETS:
            for name in sorted(name for name in wanted if name is not None and name in sets[source.key]):
                yield {
                    "concept": concept.name,
                    "category": concept.category,
                    "kind": "drawn",
                    "source": source.key,
                    "package": source.package,
                    "version": source.version,
                    "path": name,
                    "licence": source.licence,
                    "split": "validation" if source.key == HELD_OUT_SET else "train",
                }
