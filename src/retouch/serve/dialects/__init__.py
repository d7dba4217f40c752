"""Dialects: each is a module here that ends with its `DIALECT`."""

import pkgutil
from functools import cache
from importlib import import_module

from retouch.serve.dialect import Dialect


@cache
def dialects() -> tuple[Dialect, ...]:
    """Return every dialect that is here."""
    modules = (import_module(f"{__name__}.{found.name}") for found in pkgutil.iter_modules(__path__))
    found: dict[str, Dialect] = {}
    for module in modules:
        dialect: Dialect | None = getattr(module, "DIALECT", None)
        if dialect is None:  # what several of them share
            continue
        if dialect.name in found:
            raise RuntimeError(f"two dialects are called {dialect.name!r}")
        found[dialect.name] = dialect
    return tuple(found.values())


def dialect_of(path: str) -> Dialect | None:
    """Return the dialect that owns a path."""
    owners = [one for one in dialects() if any(path.startswith(prefix) for prefix in one.prefixes)]
    return owners[0] if owners else None
