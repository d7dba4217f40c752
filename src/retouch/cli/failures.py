"""What a person, or a script, is told when a command fails."""

import hashlib
import json
import sys
import traceback
from dataclasses import dataclass
from typing import Any, Self

import typer

from retouch.cli.logs import speak_up
from retouch.cli.words import message_of, spoken
from retouch.errors import BadInput, RetouchError


@dataclass(slots=True)
class Session:
    """How the running command line wants its failures told; options of commands switch it.

    Attributes:
        debug: show tracebacks.
        as_json: also print the error as one JSON object on stdout.
    """

    debug: bool = False
    as_json: bool = False

    @classmethod
    def of(cls, ctx: typer.Context) -> Self:
        """Return the session of a context; a fresh one where a command runs without the root."""
        found = ctx.find_object(cls)
        return cls() if found is None else found

    def start_debugging(self) -> None:
        """Show tracebacks and the log from here on."""
        self.debug = True
        speak_up()


def explain(error: Exception, session: Session) -> int:
    """Tell what went wrong on stderr, with a hint; return the exit code of the process."""
    if type(error).__name__ == "NoArgsIsHelpError":  # no failure to tell: its message is the help
        typer.echo(getattr(error, "message", ""), err=True)
        return BadInput.exit_code
    told = _told(error)
    if session.debug:
        traceback.print_exception(error)
    typer.echo(printable(f"error: {told.message}"), err=True)
    if told.hint:
        typer.echo(printable(f"hint: {told.hint}"), err=True)
    if session.as_json:
        body = {"code": told.code, "message": told.message, "hint": told.hint}
        typer.echo(json.dumps({"error": body}))
    sys.stdout.flush()
    return told.exit_code


def printable(text: str) -> str:
    """Escape what no terminal can show: the bytes of a file name that is not UTF-8."""
    return text.encode("utf-8", "backslashreplace").decode()


@dataclass(frozen=True, slots=True)
class _Told:
    message: str
    hint: str = ""
    code: str = RetouchError.code
    exit_code: int = RetouchError.exit_code


def _told(error: Exception) -> _Told:
    if hasattr(error, "format_message"):
        return _usage(error)
    if isinstance(error, RetouchError):
        where = "".join(f"{note}: " for note in getattr(error, "__notes__", ()))
        return _Told(where + message_of(error), spoken(error.hint), error.code, error.exit_code)
    if isinstance(error, OSError) and error.strerror:
        place = f"{error.filename}: " if error.filename is not None else ""
        return _Told(f"{place}{error.strerror}")
    if isinstance(error, MemoryError):
        return _Told("not enough memory", "try a smaller picture or `--region masked`")
    name = type(error).__name__
    return _Told(f"unexpected {name} (id {_fingerprint(error)})", "run `retouch --debug ...` to see the traceback")


_KINDS = {"int_parsing": "a whole number", "int_from_float": "a whole number", "float_parsing": "a number"}


def _usage(error: Any) -> _Told:
    """Tell what typer refuses: an option that does not exist, is missing, or has a value of another kind."""
    # Pydantic's words are a programmer's.
    details: list[Any] = error.__cause__.errors() if hasattr(error.__cause__, "errors") else []
    if details and (kind := _KINDS.get(details[0]["type"])):
        error.message = f"{details[0]['input']!r} is not {kind}"
    elif details:
        error.message = details[0]["msg"].removeprefix("Value error, ")
    ctx = getattr(error, "ctx", None)
    hint = f"see `{ctx.command_path} --help`" if ctx is not None else ""
    return _Told(error.format_message(), hint, BadInput.code, BadInput.exit_code)


def _fingerprint(error: Exception) -> str:
    """Name the place of a defect: the same defect has the same id on every machine."""
    frames = traceback.extract_tb(error.__traceback__)
    trail = [f"{frame.name}:{frame.lineno}" for frame in frames]
    return hashlib.sha256(" ".join([type(error).__name__, *trail]).encode()).hexdigest()[:8]
