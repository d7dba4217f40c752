"""From a cell to the bytes of a picture: inline, or a path or an address below a declared root.

A table may come from a stranger. It names no file of this machine and makes no request that its reader did not
allow: paths stay below a root, links out of it included, and addresses below one that was given.
"""

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from retouch.batch.places import Place, is_address
from retouch.batch.rows import Fetched, PictureCell, Row, picture_of
from retouch.errors import BadInput, BadRow, ImageError, ImageTooLarge, SourceUnavailable
from retouch.imaging.limits import DecodeLimits
from retouch.imaging.sources import read_bytes

_DATA = re.compile(r"data:image/[a-z+.-]{1,20};base64,", re.IGNORECASE)
_MAX_PATH_CHARS = 4096
_ROOTS_HINT = "name its folder with `--root`, or allow all with `--allow-any-path`"


@dataclass(frozen=True, slots=True)
class Roots:
    """Where pictures that are not inline may be.

    Attributes:
        places: folders or addresses; a relative path is looked for below the first. Without any, all pictures
            are inline.
        any_path: also take paths and links that lead elsewhere, and any address.
    """

    places: tuple[Place, ...]
    any_path: bool = False

    def find(self, text: str) -> Place:
        """Return the file that a path or an address means.

        Raises:
            BadRow: it is outside the roots.
        """
        if "\0" in text or len(text) > _MAX_PATH_CHARS:
            raise BadRow("the picture's path is no path")
        if not self.places and not self.any_path:
            raise BadRow("the row names a picture, and none is read here", hint="send it in base64")
        if is_address(text):
            return self._address(text)
        return self._local(text) if self.any_path or self.places[0].is_local else self._below(text)

    def _address(self, text: str) -> Place:
        allowed = [f"{place.address.rstrip('/')}/" for place in self.places if not place.is_local]
        is_below = any(text.startswith(root) for root in allowed) and ".." not in text.split("/")
        if not self.any_path and ("::" in text or not is_below):
            raise BadRow("the picture's address is outside the roots", hint=_ROOTS_HINT)
        return Place.of(text)

    def _below(self, text: str) -> Place:
        """Find a relative path below a root that is an address."""
        path = PurePosixPath(text)
        if path.is_absolute() or ".." in path.parts:
            raise BadRow("the picture's path leads out of its root", hint=_ROOTS_HINT)
        return self.places[0] / str(path)

    def _local(self, text: str) -> Place:
        path = Path(text)
        folders = [Path(place.path) for place in self.places if place.is_local]
        if self.any_path:
            return Place.of(str(folders[0] / path if folders else path))
        if ".." in path.parts or "\\" in text:
            raise BadRow("the picture's path leads out of its root", hint=_ROOTS_HINT)
        try:
            # With its links followed: what is opened is what was looked at.
            found = (folders[0] / path).resolve()
            is_inside = any(found.is_relative_to(folder.resolve()) for folder in folders)
        except (OSError, RuntimeError, ValueError) as error:
            raise BadRow("the picture's path cannot be followed") from error
        if not is_inside:
            raise BadRow("the picture's path leads out of its root", hint=_ROOTS_HINT)
        return Place.of(str(found))


def fetch(cell: PictureCell, roots: Roots, limits: DecodeLimits) -> Fetched:
    """Return the encoded picture that a cell holds or names.

    Raises:
        BadRow: the cell is neither, or names what may not be read.
        ImageError: the picture is too large or not there.
        SourceUnavailable: an address gave an error that may pass.
    """
    if isinstance(cell, Fetched):
        return cell
    if isinstance(cell, BadInput):
        raise cell
    if isinstance(cell, bytes):
        return _inline(cell, limits)
    if (header := _DATA.match(cell[:40])) is not None:
        return _inline(_decoded(cell[header.end() :], limits), limits)
    if not _is_name(cell):
        return _inline(_decoded(cell, limits), limits)
    text = cell.strip()
    place = roots.find(text)
    return Fetched(_read(place, limits), text)


def carry(row: Row, roots: Roots, limits: DecodeLimits) -> Row:
    """Return a row that holds the pictures that it names on this machine, so that it may be painted on another.

    What lies at an address is fetched by who paints. A file that cannot be read is the painter's to tell: its cell
    becomes the error.
    """
    read = {
        name: _read_here(cell, roots, limits)
        for name, cell in row.cells.items()
        if picture_of(name) is not None and isinstance(cell, str) and _is_name(cell)
    }
    return replace(row, cells={**row.cells, **read})


def _read_here(cell: str, roots: Roots, limits: DecodeLimits) -> PictureCell:
    text = cell.strip()
    try:
        place = roots.find(text)
        return Fetched(_read(place, limits), text) if place.is_local else cell
    except BadInput as error:
        return error


def _is_name(cell: str) -> bool:
    """Tell a path or an address from base64, which has no dot."""
    return len(cell) <= _MAX_PATH_CHARS and "." in cell and _DATA.match(cell[:40]) is None


def _inline(data: bytes, limits: DecodeLimits) -> Fetched:
    data = read_bytes(data, limits.image_bytes)
    return Fetched(data, f"sha256:{hashlib.sha256(data).hexdigest()}")


def _decoded(text: str, limits: DecodeLimits) -> bytes:
    """Decode base64; ends of lines are none of it."""
    if len(text) > limits.image_bytes * 3 // 2:
        raise ImageTooLarge("the picture is too large", hint=f"at most {limits.image_bytes} bytes")
    try:
        return base64.b64decode("".join(text.split()).encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError) as error:
        raise BadRow(
            "the picture is neither base64 nor a file's name", hint="a path needs a suffix such as .png"
        ) from error


def _read(place: Place, limits: DecodeLimits) -> bytes:
    if place.is_local:
        return read_bytes(Path(place.path), limits.image_bytes)
    try:
        with place.fs.open(place.path, "rb") as file:
            return read_bytes(file, limits.image_bytes)
    except FileNotFoundError as error:
        raise ImageError(f"there is no picture {place.name!r}", hint="check the address") from error
    except ImageError:
        raise
    except Exception as error:  # every kind of storage has errors of its own, and most of them pass
        raise SourceUnavailable(f"the picture {place.name!r} could not be read") from error
