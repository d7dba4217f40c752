"""Pictures with captions in an ordinary folder.

Either every picture has a `.txt` beside it, or a `metadata.jsonl` names files and captions (the
`imagefolder` form of Hugging Face datasets). A mask may stand beside a picture as
`<stem>.mask.png`, or be named by `mask_file_name`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from retouch.data.pixels import mask_pixels, rgb_pixels
from retouch.errors import BadInput

PICTURE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp"})
_CAPTION_FIELDS = ("text", "caption", "prompt")


@dataclass(frozen=True, slots=True)
class FolderItem:
    """One picture file, its caption, and its mask file if there is one."""

    image: Path
    caption: str
    mask: Path | None = None

    def pixels(self) -> NDArray[np.uint8]:
        """Decode the picture to (H, W, 3) bytes; ImageError if it is broken."""
        return rgb_pixels(self.image)

    def mask_pixels(self) -> NDArray[np.bool_] | None:
        """Decode the mask to (H, W), True = repaint; None if there is none."""
        return None if self.mask is None else mask_pixels(self.mask)


def read_folder(folder: Path) -> list[FolderItem]:
    """List the captioned pictures below a folder, in the order of their paths.

    Raises:
        BadInput: there are none, or the metadata is malformed or names files outside.
    """
    if not folder.is_dir():
        raise BadInput(f"{folder} is not a folder")
    metadata = folder / "metadata.jsonl"
    items = list(_from_metadata(metadata) if metadata.is_file() else _from_texts(folder))
    if not items:
        hint = "put name.txt beside name.jpg, or write metadata.jsonl"
        raise BadInput(f"{folder} holds no pictures with captions", hint=hint)
    return sorted(items, key=lambda item: item.image)


def _from_texts(folder: Path) -> Iterator[FolderItem]:
    for image in folder.rglob("*"):
        if image.suffix.lower() not in PICTURE_SUFFIXES or image.name.endswith(".mask.png"):
            continue
        text = image.with_suffix(".txt")
        if text.is_file():
            mask = image.with_suffix(".mask.png")
            caption = text.read_text(encoding="utf-8").strip()
            yield FolderItem(image, caption, mask if mask.is_file() else None)


def _from_metadata(path: Path) -> Iterator[FolderItem]:
    root = path.parent.resolve()
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            if line.strip():
                yield _item(root, line, f"{path.name}, line {number}")


def _item(root: Path, line: str, where: str) -> FolderItem:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise BadInput(f"{where}: not JSON") from error
    if not isinstance(row, dict) or not isinstance(row.get("file_name"), str):
        raise BadInput(f"{where}: no file_name")
    caption = next((row[name] for name in _CAPTION_FIELDS if isinstance(row.get(name), str)), None)
    if caption is None:
        raise BadInput(f"{where}: no caption", hint=f"one of {', '.join(_CAPTION_FIELDS)}")
    mask = row.get("mask_file_name")
    return FolderItem(
        image=_inside(root, row["file_name"], where),
        caption=caption.strip(),
        mask=_inside(root, mask, where) if isinstance(mask, str) else None,
    )


def _inside(root: Path, name: str, where: str) -> Path:
    path = (root / name).resolve()
    if not path.is_relative_to(root):
        raise BadInput(f"{where}: {name} lies outside the folder")
    if not path.is_file():
        raise BadInput(f"{where}: {name} does not exist")
    return path
