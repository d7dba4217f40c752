"""API keys: who may call, told by a header and by nothing else.

A key is a long random text, so its plain SHA-256 is enough to know it again and tells nobody what it was: that
digest is all that stays in memory, and all that a file of keys need hold.
"""

import base64
import binascii
import hashlib
import hmac
import os
import re
import stat
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from starlette.types import ASGIApp, Receive, Scope, Send

from retouch.errors import BadInput, Unauthorized
from retouch.serve.scopes import has_body, header_values, notes, routed_path

MIN_KEY_CHARS = 16
MAX_FILE_BYTES = 2**20
MAX_CREDENTIALS = 8
"""Headers looked at in one request."""

_ANONYMOUS_ID = "anonymous"
_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
_KEY = re.compile(r"[!-+\--9;-~]+")  # what can be seen in ASCII, but for the comma and the colon
_AT_REST = re.compile(r"sha256=([0-9a-fA-F]{64})")
_MAKE_ONE = 'python -c "import secrets; print(secrets.token_urlsafe(32))" makes one'


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sent a request: `id` is the name of the key, else the beginning of its digest."""

    id: str
    is_anonymous: bool = False


ANONYMOUS = Caller(_ANONYMOUS_ID, is_anonymous=True)


@dataclass(frozen=True, slots=True)
class Keyring:
    """The keys that may call; an empty one asks for none.

    Attributes:
        warnings: what the operator should know about where the keys came from.
    """

    _known: tuple[tuple[bytes, Caller], ...] = field(default=(), repr=False)
    warnings: tuple[str, ...] = ()

    @classmethod
    def from_text(cls, text: str, *, source: str = "RETOUCH_API_KEYS") -> Self:
        """Read keys that are parted by commas or new lines.

        Each is `key` or `name:key`, where the key may be written `sha256=` and its hexadecimal digest. Several
        keys of one name are one caller, so that a key can be replaced without a gap. `#` begins a line of comment.

        Raises:
            BadInput: an entry is no key; the message gives its place, never what it holds.
        """
        lines = (line for line in text.splitlines() if not line.lstrip().startswith("#"))
        entries = [entry.strip() for line in lines for entry in line.split(",")]
        known: dict[bytes, Caller] = {}
        for place, entry in enumerate(filter(None, entries), start=1):
            digest, caller = _read_entry(entry, f"key {place} of {source}")
            if known.setdefault(digest, caller) != caller:
                raise BadInput(f"key {place} of {source} stands there under another name, too")
        return cls(tuple(known.items()))

    @classmethod
    def from_file(cls, path: Path) -> Self:
        """Read a file of keys, one a line, as `from_text` does.

        Raises:
            BadInput: the file cannot be read, holds no key, or something that is none.
        """
        try:
            with path.open("rb") as file:
                mode = os.fstat(file.fileno()).st_mode
                data = file.read(MAX_FILE_BYTES + 1)
            text = data.decode("utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise BadInput(f"the file of keys {path} cannot be read: {type(error).__name__}") from error
        if len(data) > MAX_FILE_BYTES:
            raise BadInput(f"the file of keys {path} is over {MAX_FILE_BYTES} bytes")
        ring = cls.from_text(text, source=str(path))
        if not ring:
            raise BadInput(f"the file of keys {path} holds no key", hint=_MAKE_ONE)
        is_open = os.name == "posix" and mode & (stat.S_IRWXG | stat.S_IRWXO)
        warnings = (f"other users of this machine may read {path}; chmod 600 keeps them out",) if is_open else ()
        return cls(ring._known, warnings)

    def __bool__(self) -> bool:
        return bool(self._known)

    def __add__(self, other: "Keyring") -> "Keyring":
        return Keyring(self._known + other._known, self.warnings + other.warnings)

    def find(self, key: str) -> Caller | None:
        """Return whose key it is; the time taken does not depend on which, or on how much of it is right."""
        digest = _digest(key)
        found = None
        for known, caller in self._known:
            if hmac.compare_digest(known, digest):
                found = caller
        return found


def credentials(scope: Scope) -> list[str]:
    """Return the keys that a request's headers offer.

    `Authorization: Bearer`, `api-key`, `X-API-Key`, and the password of `Authorization: Basic`, which is what
    clients of A1111 can send. Never the URL: it is logged, shared and remembered.
    """
    offered = header_values(scope, b"api-key") + header_values(scope, b"x-api-key")
    for value in header_values(scope, b"authorization"):
        scheme, _, rest = value.partition(" ")
        match scheme.lower():
            case "bearer":
                offered.append(rest.strip())
            case "basic":
                offered.append(_basic_password(rest.strip()))
    return [key for key in offered if key][:MAX_CREDENTIALS]


class KeyCheck:
    """Lets through who has a key, or everyone where there are none; writes down who it was.

    Args:
        app: what stands further in.
        keyring: the keys.
        is_open: tells whether a routed path needs no key, to be looked at and no more.
    """

    def __init__(self, app: ASGIApp, *, keyring: Keyring, is_open: Callable[[str], bool] | None = None) -> None:
        self.app = app
        self.keyring = keyring
        self.is_open = is_open or (lambda _: False)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            notes(scope)["caller"] = self.identify(scope)
        await self.app(scope, receive, send)

    def identify(self, scope: Scope) -> Caller:
        """Return who calls.

        Raises:
            Unauthorized: a key is needed, and none that is known was sent.
        """
        if not self.keyring:
            return ANONYMOUS
        offered = credentials(scope)
        if (found := _first(self.keyring.find(key) for key in offered)) is not None:
            return found
        # A body takes memory that all share, and nothing that is open has a use for one.
        if scope["method"] in ("GET", "HEAD") and not has_body(scope) and self.is_open(routed_path(scope)):
            return ANONYMOUS
        raise Unauthorized(
            "the key is not known" if offered else "this server asks for a key",
            hint="send it as `Authorization: Bearer KEY`, `api-key: KEY` or `X-API-Key: KEY`",
        )


def caller_of(scope: Scope) -> Caller:
    """Return who `KeyCheck` found a request to be from."""
    caller = notes(scope).get("caller", ANONYMOUS)
    assert isinstance(caller, Caller)
    return caller


def _read_entry(entry: str, place: str) -> tuple[bytes, Caller]:
    name, colon, key = entry.rpartition(":")
    if colon and (not _NAME.fullmatch(name) or name == _ANONYMOUS_ID):
        raise BadInput(f"{place} has a name that cannot be used", hint="letters, digits, dot, dash, underscore")
    if at_rest := _AT_REST.fullmatch(key):
        digest = bytes.fromhex(at_rest[1])
    elif not _KEY.fullmatch(key):
        raise BadInput(f"{place} holds characters that a header cannot carry", hint=_MAKE_ONE)
    elif len(key) < MIN_KEY_CHARS:
        raise BadInput(f"{place} is shorter than {MIN_KEY_CHARS} characters", hint=_MAKE_ONE)
    else:
        digest = _digest(key)
    return digest, Caller(name or f"key-{digest.hex()[:8]}")


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()


def _basic_password(encoded: str) -> str:
    try:
        decoded = base64.b64decode(encoded, validate=True).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return ""
    return decoded.partition(":")[2]


def _first(found: Iterable[Caller | None]) -> Caller | None:
    """Return the first caller, after every key was looked at."""
    return next(filter(None, list(found)), None)
