"""Pictures with captions in an ordinary folder.

Either every picture has a `.txt` beside it, or a `metadata.jsonl` names files and captions (the
`imagefolder` form of Hugging Face datasets). A mask may stand beside a picture as
`<stem>.mask.png`, or be named by `mask_file_name`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from retouch.data.pixels import mask_pixels, rgb_pixels
from retouch.errors import BadInput

PICTURE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".avif", ".tif", ".tiff", ".bmp"})
UNREADABLE_SUFFIXES = frozenset({".heic", ".heif", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".raf"})
"""Pictures as phones and cameras store them, which are not read."""
_MASK_STEM = re.compile(r"(.+)[._ -]mask", re.IGNORECASE)
MAX_LINE_BYTES = 2**20
_NO_CAPTION = "write the caption into it, or give `caption:` in the configuration for all that have none"
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


def read_folder(folder: Path, *, caption: str | None = None) -> list[FolderItem]:
    """List the captioned pictures below a folder, in the order of their paths.

    Args:
        caption: for pictures that have none of their own.
    Raises:
        BadInput: there are none, or one has no caption, or a caption or the metadata is malformed, or a name or a
            link leads outside.
    """
    if not folder.is_dir():
        raise BadInput(f"{folder} is not a folder")
    metadata = folder / "metadata.jsonl"
    items = list(_from_metadata(metadata, caption) if metadata.is_file() else _from_texts(folder, caption))
    if not items:
        hint = "put name.txt beside name.jpg, or write metadata.jsonl"
        raise BadInput(f"{folder} holds no pictures with captions", hint=hint)
    return sorted(items, key=lambda item: item.image)


def _from_texts(folder: Path, default: str | None) -> Iterator[FolderItem]:
    root = folder.resolve()
    for image in sorted(folder.rglob("*")):
        if any(part.startswith(".") for part in image.relative_to(folder).parts):
            continue  # what systems leave behind, such as ._1.jpg
        if image.suffix.lower() in UNREADABLE_SUFFIXES:
            raise BadInput(f"{image.name} is of a kind that cannot be read", hint="save it as JPEG or PNG")
        if image.suffix.lower() not in PICTURE_SUFFIXES or image.name.endswith(".mask.png"):
            continue
        text, mask = image.with_suffix(".txt"), image.with_suffix(".mask.png")
        for file in (image, text, mask):
            if file is image or file.is_file():
                _inside(root, file.absolute(), file.name)
        caption = _caption(text) if text.is_file() else default
        if not text.is_file() and (owner := _owner(image)) is not None:
            # Only where one caption serves all: it would be trained on as a picture.
            hint = f"call it {owner.stem}.mask.png, or put it elsewhere; a picture of that name needs its own .txt"
            raise BadInput(f"{image.name} looks like the mask of {owner.name}", hint=hint)
        if caption is None:
            raise BadInput(f"{image.name} has no caption: {text.name} is missing", hint=_NO_CAPTION)
        yield FolderItem(image, caption, mask if mask.is_file() else None)


def _owner(image: Path) -> Path | None:
    """The picture beside it whose mask a picture is, to go by its name: `1_mask.jpg` is that of `1.png`."""
    named = _MASK_STEM.fullmatch(image.stem)
    if named is None:
        return None
    beside = sorted(file for file in image.parent.iterdir() if file.stem == named[1])
    return next((file for file in beside if file.suffix.lower() in PICTURE_SUFFIXES), None)


def _caption(path: Path) -> str:
    with path.open("rb") as file:
        content = file.read(MAX_LINE_BYTES + 1)
    return _text(content, path.name).strip()


def _from_metadata(path: Path, default: str | None) -> Iterator[FolderItem]:
    root = path.parent.resolve()
    _inside(root, path.absolute(), path.name)
    with path.open("rb") as lines:
        for number in count(1):
            line = lines.readline(MAX_LINE_BYTES + 1)
            where = f"{path.name}, line {number}"
            if not line:
                return
            if line.strip():
                yield _item(root, _text(line, where), where, default)


def _text(content: bytes, where: str) -> str:
    """Return a short text in UTF-8."""
    if len(content) > MAX_LINE_BYTES:
        raise BadInput(f"{where}: too long", hint=f"at most {MAX_LINE_BYTES} bytes")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadInput(f"{where}: not UTF-8", hint="save it as UTF-8 text") from error


def _item(root: Path, line: str, where: str, default: str | None) -> FolderItem:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{where}: not JSON") from error
    if not isinstance(row, dict) or not isinstance(row.get("file_name"), str):
        raise BadInput(f"{where}: no file_name")
    caption = next((row[name] for name in _CAPTION_FIELDS if isinstance(row.get(name), str)), default)
    if caption is None:
        hint = f"give one as {', '.join(_CAPTION_FIELDS)}, or `caption:` for all that have none"
        raise BadInput(f"{where}: {row['file_name']} has no caption", hint=hint)
    mask = row.get("mask_file_name")
    return FolderItem(
        image=_inside(root, row["file_name"], where),
        caption=caption.strip(),
        mask=_inside(root, mask, where) if isinstance(mask, str) else None,
    )


def _inside(root: Path, name: str | Path, where: str) -> Path:
    """Return the file of a name, wherever links lead."""
    try:
        path = (root / name).resolve()
        is_file = path.is_file()
    except (OSError, RuntimeError, ValueError) as error:
        # A name of a million bytes, a ring of links, a NUL.
        raise BadInput(f"{where}: no name of a file") from error
    if not path.is_relative_to(root):
        raise BadInput(f"{where}: {name} lies outside the folder")
    if not is_file:
        raise BadInput(f"{where}: {name} does not exist")
    return path
