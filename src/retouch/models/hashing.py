"""SHA-256 of weights, remembered by path, size and time of change, so that a big file is read once."""

import hashlib
import json
import logging
import os
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import torch

logger = logging.getLogger(__name__)

_BLOCK_BYTES = 8 * 2**20


def default_cache() -> Path:
    """Return where hashes are remembered: `retouch/hashes.json` in the user's cache folder."""
    root = os.environ.get("XDG_CACHE_HOME")
    return (Path(root) if root else Path.home() / ".cache") / "retouch" / "hashes.json"


def hash_files(files: Iterable[tuple[str, Path]], *, cache: Path | None = None) -> str:
    """Return one hash over several files: SHA-256 of the lines `name sha256`, sorted by name.

    Args:
        files: (name, path) pairs; the name, not the place on disk, enters the hash.
        cache: the file of remembered hashes; None is `default_cache()`.
    """
    remembered = _read(cache or default_cache())
    known = dict(remembered)
    lines = []
    for name, path in sorted(files):
        key = _key(path)
        if key not in known:
            known[key] = _hash_file(path)
        lines.append(f"{name} {known[key]}\n")
    if known != remembered:
        _write(cache or default_cache(), known)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def hash_tensors(tensors: Mapping[str, torch.Tensor]) -> str:
    """Return SHA-256 over named tensors: their names, dtypes, shapes and bytes, sorted by name."""
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _key(path: Path) -> str:
    real = path.resolve()
    stat = real.stat()
    return f"{real}|{stat.st_size}|{stat.st_mtime_ns}"


def _hash_file(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def _read(cache: Path) -> dict[str, str]:
    try:
        content = json.loads(cache.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {str(key): str(value) for key, value in content.items()} if isinstance(content, dict) else {}


def _write(cache: Path, known: Mapping[str, str]) -> None:
    # Only a convenience: on a read-only disk the next load hashes again.
    try:
        cache.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=cache.parent, delete=False, encoding="utf-8") as file:
            json.dump(dict(known), file)
        Path(file.name).replace(cache)
    except OSError as error:
        logger.debug("hashes are not remembered: %s", error)
