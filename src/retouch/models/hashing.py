"""SHA-256 of weights, remembered by what the system says of a file, so that a big one is read once."""

import hashlib
import json
import logging
import os
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import torch

logger = logging.getLogger(__name__)

_BLOCK_BYTES = 8 * 2**20
# A file that changes again within the clock's step looks the same; so young a hash is not remembered.
_SETTLED_NS = 2 * 10**9


def default_cache() -> Path:
    """Return where hashes are remembered: `retouch/hashes.json` in the user's cache folder."""
    root = os.environ.get("XDG_CACHE_HOME")
    return (Path(root) if root else Path.home() / ".cache") / "retouch" / "hashes.json"


def hash_files(
    files: Iterable[tuple[str, Path]], *, cache: Path | None = None, clock: Callable[[], int] = time.time_ns
) -> str:
    """Return one hash over several files: SHA-256 of the lines `name sha256`, sorted by name.

    Args:
        files: (name, path) pairs; the name, not the place on disk, enters the hash.
        cache: the file of remembered hashes; None is `default_cache()`.
        clock: nanoseconds, as the times of files are.
    """
    remembered = _read(cache or default_cache())
    known = dict(remembered)
    lines = []
    for name, path in sorted(files):
        key = _identity(path)
        digest = known.get(key) or _hash_file(path)
        if clock() - _changed_ns(path) > _SETTLED_NS:
            known[key] = digest
        lines.append(f"{name} {digest}\n")
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


def identities(files: Iterable[Path]) -> dict[Path, str]:
    """Return what would change of each file if it were written or replaced."""
    return {path: _identity(path) for path in files}


def _identity(path: Path) -> str:
    real = path.resolve()
    stat = real.stat()
    # Who writes other bytes can put the time of modification back, but not the time of change and the inode.
    return f"{real}|{stat.st_size}|{stat.st_mtime_ns}|{stat.st_ctime_ns}|{stat.st_dev}|{stat.st_ino}"


def _changed_ns(path: Path) -> int:
    stat = path.stat()
    return max(stat.st_mtime_ns, stat.st_ctime_ns)


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
