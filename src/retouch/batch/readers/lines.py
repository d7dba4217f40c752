"""Records of text files, however long their lines are: what is held at once is bounded."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

_PIECE_BYTES = 2**20


@dataclass(frozen=True, slots=True)
class Record:
    """The bytes of one record with the ends of its lines; None where they were too many.

    `end` is where it ends in the file.
    """

    content: bytes | None
    end: int


def records(file: IO[bytes], *, most_bytes: int, quotes: bool) -> Iterator[Record]:
    """Yield the records of a file, one a line.

    Args:
        most_bytes: of one record; a larger one is read past and yielded as None.
        quotes: a record goes on where a quote is open, as in CSV: a cell may hold ends of lines.
    """
    position = size = 0
    held = bytearray()  # not its lines: a quoted cell may have millions of them
    is_open = False
    while piece := file.readline(_PIECE_BYTES):
        position += len(piece)
        size += len(piece)
        if quotes and piece.count(b'"') % 2:
            is_open = not is_open
        if size <= most_bytes:
            held += piece
        if piece.endswith(b"\n") and not is_open:
            yield Record(bytes(held) if size <= most_bytes else None, position)
            size = 0
            held.clear()
    if size:
        yield Record(bytes(held) if size <= most_bytes else None, position)
