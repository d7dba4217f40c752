"""What comes in through stdin: a picture, a mask or a prompt, bounded."""

import codecs
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from retouch.cli.limits import limits
from retouch.errors import BadInput, RetouchError

if TYPE_CHECKING:
    from retouch.imaging.picture import Picture

STDIN = "-"
_BYTES_PER_CHAR = 4  # of UTF-8, at most


def refuse_two_from_stdin(*names: str) -> None:
    """Raise where stdin is asked for more than one thing.

    Raises:
        BadInput: two of the names are `-`.
    """
    if names.count(STDIN) > 1:
        raise BadInput("stdin can be read once", hint="of --image, --mask and --prompt only one can be -")


def files(*paths: Path | None) -> tuple[Path, ...]:
    """Return those of the paths that name a file: neither stdin nor nothing."""
    return tuple(path for path in paths if path is not None and str(path) != STDIN)


def picture(path: Path, *, option: str) -> "Picture":
    """Read and decode a file, or stdin for `-`; an error says which option named it.

    Raises:
        ImageError: it cannot be decoded whole.
        ImageTooLarge: it is over a limit of bytes, pixels or side.
    """
    from retouch.imaging.decode import decode_picture

    try:
        return decode_picture(sys.stdin.buffer if str(path) == STDIN else path, limits=limits())
    except RetouchError as error:
        error.add_note(f"{option} {path}")
        raise


def check_scheduler(name: str | None) -> None:
    """Refuse the name of a sampler that no checkpoint could have.

    Raises:
        InvalidField: there is no such sampler.
    """
    from retouch.models.schedulers import check_name

    if name is not None and name.casefold().replace(" ", "_") not in _own_samplers():
        check_name(name)


def _own_samplers() -> frozenset[str]:
    """Find the files of our own samplers by their last line: to import one would import torch."""
    package = find_spec("retouch.engine.samplers")
    folders = (package and package.submodule_search_locations) or ()
    found = (file for folder in folders for file in Path(folder).glob("*.py"))
    return frozenset(file.stem for file in found if "\nSAMPLER" in file.read_text(encoding="utf-8"))


def text(words: str) -> str:
    """Return the words, or the text of stdin for `-`, without the line's end.

    Raises:
        BadInput: stdin holds no UTF-8.
    """
    if words != STDIN:
        return words
    most = _BYTES_PER_CHAR * limits().prompt_chars + 1
    data = sys.stdin.buffer.read(most)
    try:
        # What is longer is cut, perhaps within a character, and refused for its length.
        return codecs.getincrementaldecoder("utf-8")().decode(data, final=len(data) < most).rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise BadInput("the prompt on stdin is not UTF-8 text") from error
