"""Write composed scenes as webdataset shards in img2dataset's layout."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from retouch.data.compose import Scene, SceneComposer


@dataclass(frozen=True, slots=True)
class ExportOptions:
    """How many scenes, how many in a shard, JPEG quality, and the first scene's seed."""

    count: int = 1000
    per_shard: int = 1000
    quality: int = 95
    seed: int = 0


def export_shards(composer: SceneComposer, out: Path, options: ExportOptions | None = None) -> list[Path]:
    """Write `00000.tar`, `00001.tar`, ... and return their paths.

    Each sample is `<9 digits>.jpg`, `.txt`, `.json` and `.mask.png` (white = repaint). The same
    seed gives the same bytes. A shard appears whole or not at all.
    """
    chosen = options or ExportOptions()
    out.mkdir(parents=True, exist_ok=True)
    paths: list[Path] = []
    for number, first in enumerate(range(0, chosen.count, chosen.per_shard)):
        path = out / f"{number:05d}.tar"
        partial = path.with_suffix(".partial")
        with tarfile.open(partial, "w") as tar:
            for index in range(first, min(first + chosen.per_shard, chosen.count)):
                scene = composer.scene(np.random.default_rng(chosen.seed + index))
                for ending, data in _files(scene, f"{index:09d}", chosen.quality):
                    member = tarfile.TarInfo(f"{index:09d}.{ending}")
                    member.size = len(data)
                    tar.addfile(member, io.BytesIO(data))
        partial.replace(path)
        paths.append(path)
    return paths


def _files(scene: Scene, key: str, quality: int) -> Iterator[tuple[str, bytes]]:
    height, width = scene.mask.shape
    metadata = {
        "key": key,
        "caption": scene.caption,
        "status": "success",
        "width": width,
        "height": height,
        "concept": scene.concept,
        "colour": scene.colour,
        "place": scene.place,
        "box": scene.box,
    }
    yield "jpg", _encoded(scene.image, "JPEG", quality=quality)
    yield "json", json.dumps(metadata).encode()
    yield "mask.png", _encoded(scene.mask.astype(np.uint8) * 255, "PNG")
    yield "txt", scene.caption.encode()


def _encoded(pixels: NDArray[np.uint8], kind: str, *, quality: int = 95) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind, quality=quality)
    return buffer.getvalue()
