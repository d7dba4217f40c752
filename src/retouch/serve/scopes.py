"""What the doors read in, and write into, the scope of an ASGI request."""

from typing import Any

from starlette.types import Scope


def header_values(scope: Scope, name: bytes) -> list[str]:
    """Return every value of a header, in order; `name` in lower case. Bytes past ASCII are read as Latin-1."""
    return [value.decode("latin-1").strip(" \t") for key, value in scope["headers"] if key.lower() == name]


def notes(scope: Scope) -> dict[str, Any]:
    """Return what the doors have found out about a request; handlers see it as `request.state`."""
    found: dict[str, Any] = scope.setdefault("state", {})
    return found


def routed_path(scope: Scope) -> str:
    """Return the path that the router will match: never one rebuilt from a header."""
    path, root = str(scope["path"]), str(scope.get("root_path", ""))
    if root and (path == root or path.startswith(f"{root}/")):
        return path[len(root) :]
    return path


def has_body(scope: Scope) -> bool:
    """Tell whether the framing headers announce a body that is not empty."""
    lengths = header_values(scope, b"content-length")
    return bool(header_values(scope, b"transfer-encoding")) or any(length != "0" for length in lengths)
