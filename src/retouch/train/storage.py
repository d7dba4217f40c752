"""Files that a killed run can trust: written aside, then renamed into place."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch


def save_atomically(state: Any, path: Path) -> None:
    """Write `state` with `torch.save`, so that `path` holds the old file or the new one, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{os.getpid()}.part")
    torch.save(state, partial)
    partial.replace(path)


def load_state(path: Path) -> Any:
    """Read back what `save_atomically` wrote; only tensors and plain containers are accepted."""
    return torch.load(path, map_location="cpu", weights_only=True)


def publish_folder(folder: Path, write: Callable[[Path], None]) -> None:
    """Let `write` fill a new folder, then make `folder` a link to it in one rename.

    A reader that opens `folder` sees one whole version. The version before the newest is kept, for readers that
    are still loading it; older ones are removed.

    Raises:
        FileExistsError: `folder` exists and is not a link that this function made.
    """
    if folder.exists() and not folder.is_symlink():
        raise FileExistsError(f"{folder} is a real folder, not a published one")
    folder.parent.mkdir(parents=True, exist_ok=True)
    versions = sorted(folder.parent.glob(f".{folder.name}.v*"), key=lambda path: path.stat().st_mtime_ns)
    number = 1 + max((int(path.name.rpartition(".v")[2]) for path in versions), default=0)
    fresh = folder.with_name(f".{folder.name}.v{number}")
    fresh.mkdir()
    write(fresh)
    link = folder.with_name(f".{folder.name}.link")
    link.unlink(missing_ok=True)
    link.symlink_to(fresh.name, target_is_directory=True)
    link.replace(folder)
    for old in versions[:-1]:
        shutil.rmtree(old)
