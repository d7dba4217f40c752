"""Files that a killed run can trust: written aside, then renamed into place."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch


def save_atomically(state: Any, path: Path) -> None:
    """Write `state` with `torch.save`, so that `path` holds the old file or the new one, never a part.

    Parts that killed runs left are removed.
    """
    _write_aside(state, path).replace(path)


def _write_aside(state: Any, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    for left in path.parent.glob(f"{path.name}.*.part"):
        left.unlink(missing_ok=True)
    partial = path.with_name(f"{path.name}.{os.getpid()}.part")
    with partial.open("wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())  # or a power cut leaves the name without the content
    return partial


def load_state(path: Path) -> Any:
    """Read back what `save_atomically` wrote; only tensors and plain containers are accepted.

    The tensors are a private map of the file: what nobody looks at is not read, and the processes of a machine
    share what is.
    """
    return torch.load(path, map_location="cpu", weights_only=True, mmap=True)


def is_publishable(folder: Path) -> bool:
    """Whether `publish_folder` may make `folder`: nothing is there, or a link of its own."""
    return folder.is_symlink() or not folder.exists()


def publish_folder(folder: Path, write: Callable[[Path], None]) -> None:
    """Let `write` fill a new folder, then make `folder` a link to it in one rename.

    A reader that opens `folder` sees one whole version. The version before the newest is kept, for readers that
    are still loading it; older ones are removed.

    Raises:
        FileExistsError: `folder` exists and is not a link that this function made.
    """
    if not is_publishable(folder):
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
