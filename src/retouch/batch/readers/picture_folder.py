"""A folder of pictures: the mask is found by the picture's stem, the prompt in a `.txt` beside it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import PurePosixPath
from typing import Any

from retouch.batch.places import HEAD_BYTES, Place
from retouch.batch.readers.raw import Raw
from retouch.batch.rows import Cell
from retouch.errors import BadInput, BadRow

PICTURE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".avif", ".tif", ".tiff", ".bmp"})
_TEXT_SUFFIX = ".txt"
_READ = PICTURE_SUFFIXES | {_TEXT_SUFFIX}
_MASKS = "masks/"
_MASK_ENDS = (".mask", "_mask", "-mask")
_MAX_TEXT_BYTES = HEAD_BYTES
"""All of a prompt tells it from another."""


@dataclass(frozen=True, slots=True)
class PictureFolder:
    """The pictures of a folder, not of the folders in it; each is a row, in the order of their names.

    `photo.png` goes with the mask `photo.mask.png`, `photo_mask.png` or `photo-mask.png` of any format beside it,
    or with `photo.png` in another folder, and with the prompt in `photo.txt`.

    Attributes:
        masks: a folder of masks by stem, or None for those beside the pictures.
    """

    place: Place
    masks: Place | None = None

    @property
    def name(self) -> str:
        return self.place.name

    @property
    def weight(self) -> float:
        return 1.0

    def columns(self) -> None:
        """Nothing that a caller named."""

    def fingerprint(self) -> Mapping[str, Any]:
        names = sha256()
        content: dict[str, str] = {}
        count = 0
        for folder, prefix in [(self.place, ""), *([] if self.masks is None else [(self.masks, _MASKS)])]:
            for name, told in folder.listing().items():
                count += 1
                names.update(f"{name}\n".encode(errors="replace"))
                if PurePosixPath(name).suffix.lower() in _READ:
                    content[prefix + name] = _mark(folder / name, told)
        return {"files": count, "names_sha256": names.hexdigest(), "content": content}

    def rows(self) -> Iterator[Raw]:
        files = {place.name: place for place in self.place.files()}
        pictures = [name for name in files if PurePosixPath(name).suffix.lower() in PICTURE_SUFFIXES]
        masks = self._masks(pictures)
        shown = [name for name in pictures if _mask_stem(name) is None or _mask_stem(name) not in _stems(pictures)]
        for number, name in enumerate(shown, 1):
            stem = PurePosixPath(name).stem
            cells: dict[str, Cell] = {"id": stem, "image": name}
            if stem in masks:
                cells["mask_image"] = masks[stem]
            share = number / len(shown)
            if (text := files.get(stem + _TEXT_SUFFIX)) is not None:
                try:
                    cells["prompt"] = _prompt(text)
                except BadRow as error:
                    yield Raw(error=error, share=share)
                    continue
            yield Raw(cells, share=share)

    def _masks(self, pictures: list[str]) -> dict[str, str]:
        """Return the masks by the stem of their pictures."""
        if self.masks is None:
            return {stem: name for name in pictures if (stem := _mask_stem(name)) is not None}
        found = {}
        for place in self.masks.files():
            if place.suffix in PICTURE_SUFFIXES:
                found[_mask_stem(place.name) or PurePosixPath(place.name).stem] = place.address
        return found


def ids_of(name: str) -> set[str]:
    """Return the ids of the rows that a file in `content` of a fingerprint may belong to."""
    plain = name.removeprefix(_MASKS)
    return {PurePosixPath(plain).stem, _mask_stem(plain) or ""}


def _mark(place: Place, told: Mapping[str, Any]) -> str:
    try:
        return place.mark(told)
    except BadInput:
        return ""  # the failure of its row


def _stems(names: list[str]) -> set[str]:
    return {PurePosixPath(name).stem for name in names}


def _mask_stem(name: str) -> str | None:
    """Return the stem of the picture whose mask a file is by its name, or None."""
    stem = PurePosixPath(name).stem
    for end in _MASK_ENDS:
        if stem.endswith(end) and stem != end:
            return stem.removesuffix(end)
    return None


def _prompt(place: Place) -> str:
    with place.open() as file:
        content = file.read(_MAX_TEXT_BYTES + 1)
    if len(content) > _MAX_TEXT_BYTES:
        raise BadRow(f"{place.name} is too long for a prompt")
    try:
        return content.decode("utf-8-sig").strip()
    except UnicodeDecodeError as error:
        raise BadRow(f"{place.name} is not UTF-8") from error
