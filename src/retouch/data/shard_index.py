"""Where the samples of shards lie: found once, kept beside the shards, checked by size and time of change.

A training run asks for one sample here and one there; a tar has no table of contents. Its headers are read once,
by several processes, and what they say is kept as one array a shard. A shard that cannot be read on keeps what
came before, one that cannot be read at all has none, and both are told by their names.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from dataclasses import asdict, dataclass, field
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from retouch.data.pixels import TRAINING_LIMITS
from retouch.data.shards import PICTURES, TOO_LARGE, Tally, expand, grouped, open_shard
from retouch.data.tar import BrokenTar, Member, TarStream
from retouch.errors import BadInput, StorageFailed

logger = logging.getLogger(__name__)

FOLDER = ".retouch-index"
KINDS = ("picture", "txt", "json", "mask.png")
"""What is kept of a sample: the place of its first picture, and of what belongs to it."""
Places = NDArray[np.int64]
_FLEETING = frozenset({"shard: cannot be opened", "shard: cannot be read"})
"""What may be the disk's fault, and over the next time: not kept."""
_FEW_SHARDS = 16
"""So many are indexed before a process could begin."""


@dataclass(frozen=True, slots=True)
class ShardEntry:
    """One shard: its file's size and time of change when it was read, its samples, and what was passed over."""

    name: str
    size_bytes: int = 0
    mtime_ns: int = 0
    samples: int = 0
    broken: dict[str, int] = field(default_factory=dict)

    def fits(self, found: os.stat_result) -> bool:
        """Say whether this was read from the file as it was found now."""
        return (self.size_bytes, self.mtime_ns) == (found.st_size, found.st_mtime_ns)

    @property
    def is_sane(self) -> bool:
        """Whether an index can say this; a folder may come with one that somebody else wrote."""
        numbers = (self.size_bytes, self.mtime_ns, self.samples)
        return all(type(number) is int for number in numbers) and 0 <= self.samples <= self.size_bytes // 512


@dataclass(frozen=True, slots=True)
class ShardIndex:
    """Some shards and their entries, in the same order."""

    files: tuple[Path, ...]
    entries: tuple[ShardEntry, ...]

    @property
    def counts(self) -> NDArray[np.int64]:
        """Samples of each shard."""
        return np.array([entry.samples for entry in self.entries], np.int64)

    def digest(self) -> str:
        """Return a hash that is equal where the same samples stand in the same order, wherever the folder is."""
        lines = (f"{entry.name} {entry.size_bytes} {entry.samples}\n" for entry in self.entries)
        return hashlib.sha256("".join(lines).encode()).hexdigest()[:16]

    def broken(self) -> Iterator[tuple[str, str, int]]:
        """Yield (shard, reason, times) of what was passed over."""
        for entry in self.entries:
            for reason, times in entry.broken.items():
                yield entry.name, reason, times

    def places(self, shard: int) -> Places:
        """Return (samples, 4, 2): offset and size of each of `KINDS`, -1 where there is none; a memory map."""
        file = self.files[shard]
        found: Places = np.load(_home(file.parent) / f"{file.name}.npy", mmap_mode="r")
        return found


def open_index(pattern: str, *, workers: int = 1) -> ShardIndex:
    """Open the index of a folder of shards, a tar, or a pattern; what is not indexed yet is read now.

    Raises:
        BadInput: there are no shards, or no sample in any, or they are not on a mounted disk.
        StorageFailed: what was found cannot be kept.
    """
    if "://" in pattern:
        raise BadInput(f"{pattern} is not on a mounted disk", hint="mount the bucket, or copy the shards")
    files = tuple(Path(shard) for shard in expand(pattern))
    known = {folder: _load(_home(folder)) for folder in {file.parent for file in files}}
    entries: list[ShardEntry] = []
    stale: list[int] = []
    for number, file in enumerate(files):
        entry = known[file.parent].get(file.name)
        if not file.exists():
            entry = ShardEntry(file.name, broken={"shard: cannot be opened": 1})
        elif entry is None or not entry.fits(file.stat()):
            stale.append(number)
        entries.append(entry or ShardEntry(file.name))
    for number, entry in zip(stale, _index_all([files[number] for number in stale], workers), strict=True):
        entries[number] = entry
    index = ShardIndex(files, tuple(entries))
    if not index.counts.sum():
        reasons = sorted({reason for _, reason, _ in index.broken()})
        raise BadInput(f"{pattern} holds no sample that can be read", hint=", ".join(reasons))
    return index


def index_shard(file: Path) -> tuple[Places, dict[str, int]]:
    """Read a shard's headers: the places of its samples, and what was passed over by reason."""
    tally, found = Tally(), list[list[tuple[int, int]]]()
    try:
        with closing(open_shard(str(file))) as stream:
            tar = TarStream(stream)
            if tar.is_compressed:
                raise BrokenTar("compressed, so it cannot be read at random")
            for _key, parts in grouped(tar, TRAINING_LIMITS, tally, take=_place, nothing=(-1, -1)):
                reason = _fault(parts)
                if reason is None:
                    picture = next(parts[kind] for kind in PICTURES if kind in parts)
                    found.append([picture, *(parts.get(kind, (-1, -1)) for kind in KINDS[1:])])
                else:
                    tally.broken[reason] += 1
    except BrokenTar as error:
        tally.broken[f"shard: {error}"] += 1
    return np.array(found, np.int64).reshape(-1, len(KINDS), 2), dict(tally.broken)


def _place(member: Member) -> tuple[int, int]:
    return member.offset, member.size


def _fault(parts: Iterable[str]) -> str | None:
    """Return why a sample cannot be used, as far as its files' names tell."""
    endings = set(parts)
    if TOO_LARGE in endings:
        return "file too large"
    if not endings.intersection(PICTURES):
        return "no picture"
    return None if endings & {"txt", "json"} else "no caption"


def _index_all(files: list[Path], workers: int) -> Iterator[ShardEntry]:
    """Index shards and keep what was found, each as soon as it is known: a killed run has lost one a process."""
    if len(files) <= _FEW_SHARDS or workers < 2:
        yield from map(_index_and_keep, files)
        return
    logger.info("reading the headers of %d shards", len(files))
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as processes:
        yield from processes.map(_index_and_keep, files, chunksize=4)


def _index_and_keep(file: Path) -> ShardEntry:
    before = file.stat()
    places, broken = index_shard(file)
    entry = ShardEntry(file.name, before.st_size, before.st_mtime_ns, len(places), broken)
    home = _home(file.parent)
    try:
        home.mkdir(parents=True, exist_ok=True)
        partial = home / f"{file.name}.{os.getpid()}.part"
        with partial.open("wb") as stream:
            np.save(stream, places)
        partial.replace(home / f"{file.name}.npy")
        if _FLEETING.isdisjoint(broken):
            # One write of one line, appended: processes do not tear each other's.
            with (home / "index.jsonl").open("ab", buffering=0) as lines:
                lines.write(json.dumps(asdict(entry)).encode() + b"\n")
    except OSError as error:
        raise StorageFailed(f"the index of {file.name} cannot be written", hint=f"look at {home}") from error
    return entry


def _load(home: Path) -> dict[str, ShardEntry]:
    """Return the newest entry of each shard whose places are there."""
    try:
        lines = (home / "index.jsonl").read_bytes().splitlines()
        arrays = {entry.name for entry in os.scandir(home)}
    except (FileNotFoundError, NotADirectoryError):
        return {}
    found = dict[str, ShardEntry]()
    for line in lines:
        try:
            entry = ShardEntry(**json.loads(line))
        except (ValueError, TypeError):
            continue  # the last line of a killed run
        if f"{entry.name}.npy" in arrays and entry.is_sane:
            found[entry.name] = entry
    return found


def _home(folder: Path) -> Path:
    """Return where a folder's index is: inside it, or in the cache where that cannot be written."""
    inside = folder / FOLDER
    if inside.exists() or os.access(folder, os.W_OK):
        return inside
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "retouch" / "shards" / hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:16]
