"""The seam between the server and the dialects that clients speak: one file each in `serve/dialects`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from retouch.errors import RetouchError

if TYPE_CHECKING:
    from fastapi import APIRouter

    from retouch.serve.service import Service


@dataclass(frozen=True, slots=True)
class Words:
    """What a client is told of an error, in its own dialect."""

    status: int
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Dialect:
    """One contract that clients hold.

    Attributes:
        name: in metrics and documentation.
        prefixes: of the paths that it owns; an error before a route is known is told in its words.
        work: `METHOD /path` of the routes that start work: who calls one needs a place in the queue before a byte
            of the body is read.
        routes: makes its routes over a service.
        words: of an error. It maps a status only where the contract demands another than the error's own.
    """

    name: str
    prefixes: tuple[str, ...]
    work: frozenset[str]
    routes: "Callable[[Service], APIRouter]"
    words: Callable[[RetouchError], Words]


def plain_words(error: RetouchError) -> Words:
    """Word an error as the server itself does, where no dialect has other words for it."""
    body: dict[str, Any] = {"code": error.code, "message": str(error)}
    if error.hint:
        body["hint"] = error.hint
    if (field := getattr(error, "field", None)) is not None:
        body["field"] = field
    return Words(error.status, {"error": body})
