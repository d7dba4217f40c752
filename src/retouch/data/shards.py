"""Read webdataset shards in img2dataset's layout: resumable, bounded, free of code.

A shard is a tar of files that share a stem: `000000000.jpg`, `.txt`, `.json`, and here optionally
`.mask.png`. Nothing is unpacked to disk, nothing is unpickled; links and odd paths are counted as
broken and passed over, and so is what other files a sample has. What is held at once is bounded by
the limits of a picture, and a shard that cannot be read on is counted and left.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from retouch.data.pixels import TRAINING_LIMITS, mask_pixels, rgb_pixels
from retouch.data.tar import BrokenTar, Member, TarStream
from retouch.errors import BadInput, ImageError
from retouch.foreign import foreign_as
from retouch.imaging.limits import DecodeLimits

U8 = NDArray[np.uint8]
Part = TypeVar("Part")
PICTURES = ("jpg", "jpeg", "png", "webp")
MAX_TEXT_BYTES = 4 * 2**20
_TEXTS = ("txt", "json")
TOO_LARGE = "too large"
_BRACES = re.compile(r"\{(\d{1,9})\.\.(\d{1,9})\}")


@dataclass(frozen=True, slots=True)
class Position:
    """Where reading goes on: a shard's number, and how many of its samples are done."""

    shard: int = 0
    index: int = 0


@dataclass(frozen=True, slots=True)
class Sample:
    """One picture (H, W, 3) with its caption, metadata, and mask (True = repaint) if it has one.

    `position` is where to go on after this sample.
    """

    key: str
    image: U8
    caption: str
    metadata: dict[str, Any]
    mask: NDArray[np.bool_] | None
    position: Position


@dataclass(slots=True)
class Tally:
    """How many samples were read, and why others were passed over; grows while reading."""

    read: int = 0
    broken: Counter[str] = field(default_factory=Counter)


class BrokenSample(Exception):
    """A sample that cannot be used; its text is the reason that the tally counts."""


def expand(pattern: str) -> list[str]:
    """Expand `{00000..00009}`; a folder stands for its `.tar` files, in order.

    Raises:
        BadInput: the range is larger than a million, or the folder holds no shards.
    """
    match = _BRACES.search(pattern)
    if match:
        first, last = match.groups()
        if int(last) - int(first) > 10**6:
            raise BadInput(f"{pattern} names too many shards")
        before, after = pattern[: match.start()], pattern[match.end() :]
        numbers = range(int(first), int(last) + 1)
        return [f"{before}{number:0{len(first)}d}{after}" for number in numbers]
    if "://" not in pattern and Path(pattern).is_dir():
        found = sorted(str(path) for path in Path(pattern).glob("*.tar"))
        if not found:
            raise BadInput(f"{pattern} holds no .tar shards")
        return found
    return [pattern]


class ShardReader:
    """Iterates over the samples of several shards, from a position; used by one thread."""

    def __init__(
        self, shards: Sequence[str], *, start: Position | None = None, limits: DecodeLimits = TRAINING_LIMITS
    ) -> None:
        self.shards = tuple(shards)
        self.start = start or Position()
        self.limits = limits
        self.tally = Tally()

    def __iter__(self) -> Iterator[Sample]:
        for number in range(self.start.shard, len(self.shards)):
            done = self.start.index if number == self.start.shard else 0
            try:
                yield from self._read_shard(number, done)
            except BrokenTar as error:
                # A truncated shard has given what it had; the others go on.
                self.tally.broken[f"shard: {error}"] += 1

    def _read_shard(self, number: int, done: int) -> Iterator[Sample]:
        with closing(open_shard(self.shards[number])) as file:
            for index, (key, files) in enumerate(groups(TarStream(file), self.limits, self.tally)):
                if index < done:
                    continue
                try:
                    sample = decode_sample(key, files, self.limits, Position(number, index + 1))
                except BrokenSample as error:
                    self.tally.broken[str(error)] += 1
                    continue
                self.tally.read += 1
                yield sample


def open_shard(shard: str) -> IO[bytes]:
    """Open a shard, local or at an address; BrokenTar if that fails."""
    with foreign_as(BrokenTar("cannot be opened")):
        if "://" not in shard:
            return Path(shard).open("rb")
        import fsspec

        return cast("IO[bytes]", fsspec.open(shard, "rb").open())


def groups(tar: TarStream, limits: DecodeLimits, tally: Tally) -> Iterator[tuple[str, dict[str, bytes]]]:
    """Yield neighbours of one stem as (key, contents by ending); every stem counts, broken or not."""
    return grouped(tar, limits, tally, take=tar.content, nothing=b"")


def grouped(
    tar: TarStream, limits: DecodeLimits, tally: Tally, *, take: Callable[[Member], Part], nothing: Part
) -> Iterator[tuple[str, dict[str, Part]]]:
    """Yield neighbours of one stem as (key, what `take` makes of each file by its ending).

    A stem with too much to hold is `{TOO_LARGE: nothing}`.
    """
    most = {**dict.fromkeys((*PICTURES, "mask.png"), limits.image_bytes), **dict.fromkeys(_TEXTS, MAX_TEXT_BYTES)}
    key, files, held = "", dict[str, Part](), 0
    for member in tar:
        name = member.name.removeprefix("./")
        if member.is_folder:
            continue
        if not member.is_file or name.startswith("/") or ".." in name.split("/"):
            tally.broken["not a plain file"] += 1
            continue
        folder, _, base = name.rpartition("/")
        stem, _, ending = base.partition(".")
        full = f"{folder}/{stem}" if folder else stem
        if full != key:
            if files:
                yield key, files
            key, files, held = full, {}, 0
        limit = most.get(ending.lower())
        if limit is None:
            files.setdefault("", nothing)  # of no use, but its stem counts
            continue
        held += member.size
        if member.size > limit or held > 2 * limits.image_bytes + MAX_TEXT_BYTES:
            files = {TOO_LARGE: nothing}
        elif TOO_LARGE not in files:
            files[ending.lower()] = take(member)
    if files:
        yield key, files


def decode_sample(key: str, files: dict[str, bytes], limits: DecodeLimits, position: Position) -> Sample:
    """Decode one stem's files.

    Raises:
        BrokenSample: it has no picture or no caption, or one that cannot be read.
    """
    if TOO_LARGE in files:
        raise BrokenSample("file too large")
    ending = next((ending for ending in PICTURES if ending in files), None)
    if ending is None:
        raise BrokenSample("no picture")
    metadata = _metadata(files.get("json"))
    caption = files["txt"].decode("utf-8", errors="replace") if "txt" in files else metadata.get("caption")
    if not isinstance(caption, str):
        raise BrokenSample("no caption")
    try:
        image = rgb_pixels(files[ending], limits)
        mask = mask_pixels(files["mask.png"], limits) if "mask.png" in files else None
    except ImageError as error:
        raise BrokenSample(error.code) from error
    if mask is not None and mask.shape != image.shape[:2]:
        raise BrokenSample("mask of another size")
    return Sample(key, image, caption.strip(), metadata, mask, position)


def _metadata(data: bytes | None) -> dict[str, Any]:
    if data is None:
        return {}
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise BrokenSample("bad json") from error
    if not isinstance(value, dict):
        raise BrokenSample("bad json")
    return value
