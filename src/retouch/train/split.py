"""Which pictures of a folder are trained on, and which are held out."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from retouch.data.folder import FolderItem, read_folder
from retouch.errors import InvalidField
from retouch.train.config import DataConfig, PhaseConfig
from retouch.train.text import split_words

FEW = 4
"""Of fewer pictures, no share is held out: each is needed."""


@dataclass(frozen=True)
class Split:
    """The pictures that are trained on, and those that are not."""

    train: list[FolderItem]
    held_out: list[FolderItem]
    folder: Path

    @cached_property
    def digest(self) -> str:
        """Of the names, sizes and captions of what is trained on, wherever the folder is; as first asked for."""
        told = [(item.image.name, item.image.stat().st_size, item.caption) for item in self.train]
        return hashlib.sha256(repr(told).encode()).hexdigest()[:16]

    @cached_property
    def mask_digest(self) -> str:
        """Of where in the folder each of these lies, and of its mask's place and size; as first asked for."""
        told = [
            (
                _name(item.image, self.folder),
                item.mask and (_name(item.mask, self.folder), item.mask.stat().st_size),
            )
            for item in self.train
        ]
        return hashlib.sha256(repr(told).encode()).hexdigest()[:16]


def split_folder(data: DataConfig) -> Split:
    """List a folder's pictures, and take out those that are held out.

    A share takes the same pictures each time, and at least one where there are `FEW` or more; a list takes those
    that it names, by file name or by path in the folder.

    Raises:
        BadInput: as `read_folder`.
        InvalidField: a name is not there, or nothing would be left to train on.
    """
    items = read_folder(data.folder, caption=data.pictures.caption)
    wanted = data.pictures.held_out
    if isinstance(wanted, float):
        count = max(1, round(wanted * len(items))) if wanted > 0.0 and len(items) >= FEW else 0
        # By a hash of the name: a picture more moves hardly any other from one side to the other.
        ordered = sorted(items, key=lambda item: hashlib.sha256(_name(item.image, data.folder).encode()).digest())
        taken = {item.image for item in ordered[:count]}
    else:
        taken = {item.image for item in items if {item.image.name, _name(item.image, data.folder)} & set(wanted)}
        known = {name for item in items for name in (item.image.name, _name(item.image, data.folder))}
        if missing := sorted(set(wanted) - known):
            raise InvalidField("held_out", f"{data.folder} has no captioned picture {missing[0]}")
    split = Split(
        [item for item in items if item.image not in taken],
        [item for item in items if item.image in taken],
        data.folder,
    )
    if not split.train:
        raise InvalidField("held_out", "no picture is left to train on")
    return split


def _name(file: Path, folder: Path) -> str:
    return file.resolve().relative_to(folder.resolve()).as_posix()


def caption_words(phases: Sequence[PhaseConfig]) -> frozenset[str]:
    """The words of the captions that folders bring, lower case."""
    captions = [
        item.caption for phase in phases if phase.data.kind == "folder" for item in split_folder(phase.data).train
    ]
    return frozenset(word for words in split_words(captions) for word in words if word.isalpha())
