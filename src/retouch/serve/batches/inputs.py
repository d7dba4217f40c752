"""Inputs of batches on a server: opened where they may be, and no longer than they may be."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from retouch.batch.pictures import Roots
from retouch.batch.places import Place
from retouch.batch.readers.source import Source, open_source
from retouch.batch.rows import Row
from retouch.errors import BadRow, BatchTooLarge, InvalidField
from retouch.imaging.limits import DecodeLimits


@dataclass(frozen=True, slots=True)
class InputBounds:
    """What the deployer lets be read.

    Attributes:
        root: the declared folder, or None.
        limits: of pictures.
        most_rows: of one input.
    """

    root: Path | None
    limits: DecodeLimits
    most_rows: int


@dataclass(frozen=True, slots=True)
class Input:
    """The rows of a batch, and where their pictures may be that are not inline."""

    source: Source
    roots: Roots


@dataclass(frozen=True, slots=True)
class BoundedSource(Source):
    """Rows that end in an error where they are more than may be."""

    most_rows: int = 0

    def rows(self) -> Iterator[Row]:
        """Yield all rows.

        Raises:
            BatchTooLarge: there are more than may be.
        """
        for row in Source.rows(self):  # a class with slots is made twice, and `super()` knows the first
            if row.number >= self.most_rows:
                raise BatchTooLarge(
                    f"the batch has more than {self.most_rows} rows", hint="split it, or raise batch_rows"
                )
            yield row


def open_sent(path: Path, bounds: InputBounds) -> Input:
    """Open an input that a client sent; its paths lead below the declared root, where there is one."""
    places = () if bounds.root is None else (Place.of(str(bounds.root)),)
    return Input(_bounded(str(path), bounds), Roots(places))


def open_below(text: str, bounds: InputBounds) -> Input:
    """Open an input of this machine; its paths are told from its folder, and lead below the declared root.

    Raises:
        InvalidField: no root is declared, or the path leads out of it.
        BadInput: there is no input.
    """
    root = bounds.root
    if root is None:
        raise InvalidField("path", "no folder of inputs is declared here", hint="send the table as `input`")
    top = Place.of(str(root))
    try:
        place = Roots((top,)).find(text)
    except BadRow as error:
        raise InvalidField("path", "leads out of the folder of inputs") from error
    if not place.is_local or not Path(place.path).exists():
        raise InvalidField("path", "there is no such input")
    for one in place.files() if place.is_folder else ():
        if not Path(one.path).resolve().is_relative_to(root.resolve()):
            raise InvalidField("path", "holds a link that leads out of the folder of inputs")
    source = _bounded(place.address, bounds)
    return Input(source, Roots((Place.of(source.folder), top)))


def _bounded(address: str, bounds: InputBounds) -> BoundedSource:
    found = open_source(address, limits=bounds.limits)
    return BoundedSource(found.parts, found.folder, found.left_out, bounds.most_rows)
