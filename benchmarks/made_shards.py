"""Drawn pictures, in shards or a folder, for the benchmarks of training."""

import io
import tarfile
from pathlib import Path

import numpy as np
from PIL import Image

from retouch.data.colour import COLOURS

MANY = 1_000_000


def smooth_picture(rng: np.random.Generator, side: int) -> Image.Image:
    """Soft patches of colour with a little noise: it compresses about as a photograph does."""
    coarse = Image.fromarray(rng.integers(0, 256, (6, 6, 3), dtype=np.uint8))
    pixels = np.asarray(coarse.resize((side * 4 // 3, side), Image.Resampling.BICUBIC), np.int16)
    return Image.fromarray(np.clip(pixels + rng.normal(0, 6, pixels.shape), 0, 255).astype(np.uint8))


def write_shards(folder: Path, shards: int, *, each: int, side: int, seed: int = 0, captions: int = MANY) -> Path:
    """Write so many shards of `each` samples; pictures repeat, crops of them do not; `captions` differ."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    pictures = _jpegs(rng, 64, side)
    for shard in range(shards):
        chosen = [pictures[int(number)] for number in rng.integers(len(pictures), size=each)]
        write_shard(folder / f"{shard:05d}.tar", chosen, captions)
    return folder


def write_shard(path: Path, pictures: list[bytes], captions: int = MANY) -> None:
    """Write JPEGs with captions, as img2dataset lays them out."""
    with tarfile.open(path, "w") as tar:
        for number, picture in enumerate(pictures):
            caption = caption_of((int(path.stem) * len(pictures) + number) % captions)
            for ending, content in (("jpg", picture), ("txt", caption.encode())):
                info = tarfile.TarInfo(f"{number:09d}.{ending}")
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))


def caption_of(number: int) -> str:
    """Return a caption that no other number has."""
    return f"a {COLOURS[number % len(COLOURS)]} thing, number {number}"


def write_photographs(folder: Path, count: int, *, side: int, seed: int = 0, captions: int = MANY) -> Path:
    """Write so many pictures, each with a caption beside it; `captions` differ."""
    folder.mkdir(parents=True)
    for number, picture in enumerate(_jpegs(np.random.default_rng(seed), count, side)):
        (folder / f"{number:05d}.jpg").write_bytes(picture)
        (folder / f"{number:05d}.txt").write_text(caption_of(number % captions), encoding="utf-8")
    return folder


def _jpegs(rng: np.random.Generator, count: int, side: int) -> list[bytes]:
    pictures = []
    for _ in range(count):
        buffer = io.BytesIO()
        smooth_picture(rng, side).save(buffer, "JPEG", quality=90)
        pictures.append(buffer.getvalue())
    return pictures
