"""Which ledger an output has: the one in it, or one elsewhere, of which a note in it tells.

The disk of an output may be too slow for a ledger, or have no locks; wherever it is, the output is one run's.
"""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from retouch.batch.claim import holding, turn
from retouch.batch.ledger import NAME, Ledger
from retouch.errors import BadInput, OutputDiffers
from retouch.imaging.save import write_atomically

NOTE = "ledger.json"


@dataclass(frozen=True, slots=True)
class _Note:
    """What an output tells of a ledger elsewhere: its name, and for people where it was."""

    name: str
    path: str

    @classmethod
    def found_in(cls, output: Path) -> Self | None:
        try:
            return cls(**json.loads((output / NOTE).read_bytes()))
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (ValueError, TypeError) as error:
            raise BadInput(
                f"{output / NOTE} cannot be read", hint="delete it, if --ledger is the ledger of this output"
            ) from error


@contextmanager
def claimed(output: Path, named: Path | None) -> Iterator[Ledger]:
    """Open the ledger of an output, or begin both, and keep every other run from them within the block.

    Args:
        output: its folder.
        named: path of the ledger; None is the one in the output.
    Raises:
        OutputInUse: another run has the output or the ledger.
        OutputDiffers: the output has another ledger.
        BadInput: as `Ledger.open`.
    """
    output.mkdir(parents=True, exist_ok=True)
    path = named or output / NAME
    with ExitStack() as held:
        if not _is_in(output, path):  # else its lock is the output's
            held.enter_context(holding(output / NAME))
        note = _Note.found_in(output)
        # Refused before a ledger is begun that nobody wants.
        has_own = not _is_in(output, path) and _is_begun(output / NAME)
        if has_own if note is None else not path.exists():
            raise _another(output, note)
        ledger = held.enter_context(closing(Ledger.open(path)))
        _check(output, note, ledger)
        yield ledger


def settle(output: Path, ledger: Ledger) -> None:
    """Note in a claimed output that this is its ledger, once it is known to be of the same run."""
    if _is_in(output, ledger.path):
        (output / NOTE).unlink(missing_ok=True)
        return
    note = _Note(ledger.name(), str(ledger.path.absolute()))
    if note != _Note.found_in(output):
        with turn(output):
            write_atomically(output / NOTE, json.dumps(asdict(note)).encode())


@contextmanager
def reading(output: Path, named: Path | None) -> Iterator[Ledger]:
    """Open the ledger of an output to be read within the block, beside a run that may be under way.

    Raises:
        BadInput: there is none, or it is damaged, only being begun, of a later version, or another output's.
    """
    path = named or output / NAME
    note = _Note.found_in(output)
    if note is not None and not path.is_file():
        raise _another(output, note)
    with closing(Ledger.read(path)) as ledger:
        try:
            ledger.check()
            _check(output, note, ledger)
            yield ledger
        except sqlite3.DatabaseError as error:
            raise BadInput(
                f"{path} cannot be read as a ledger: {error}", hint="it is none, or damaged, or only being begun"
            ) from error


def _is_in(output: Path, path: Path) -> bool:
    return path.resolve() == (output / NAME).resolve()


def _is_begun(ledger: Path) -> bool:
    # Where there are no locks, a run that failed at that left an empty one.
    return ledger.is_file() and ledger.stat().st_size > 0


def _check(output: Path, note: _Note | None, ledger: Ledger) -> None:
    if note is not None and not ledger.is_named(note.name):
        raise _another(output, note)


def _another(output: Path, note: _Note | None) -> OutputDiffers:
    if note is None:
        return OutputDiffers(
            f"{output} has its ledger in it", hint="leave --ledger out, or choose another --output"
        )
    return OutputDiffers(
        f"the ledger of {output} is {note.path}",
        hint="name it with --ledger; where it is lost, choose another --output",
    )
