"""The folder of a job store: where it is, and who uses it."""

import fcntl
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from retouch.errors import BadInput, OutputInUse

_NETWORK = ("nfs", "cifs", "smb", "fuse", "9p", "afs", "ceph", "lustre")


def default_jobs_folder(environment: Mapping[str, str]) -> Path:
    """Return where jobs are kept unless somebody says otherwise: they are to survive a restart.

    That is `retouch/jobs` in `$XDG_STATE_HOME`, or in `~/.local/state`.

    Raises:
        BadInput: the environment names no home.
    """
    state, home = Path(environment.get("XDG_STATE_HOME", "")), Path(environment.get("HOME", ""))
    if not state.is_absolute():  # the specification says that a relative one is to be ignored
        state = home / ".local" / "state"
    if not state.is_absolute():
        raise BadInput("there is no home folder to keep jobs in", hint="name a folder with --jobs-folder")
    return state / "retouch" / "jobs"


def sync(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def is_on_network(path: Path) -> bool:
    """Tell whether a file is on a file system of another machine, or of a process, as far as Linux tells."""
    try:
        mounts = Path("/proc/self/mounts").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return False
    found, kind = "", ""
    for line in mounts:
        _, point, type_, *_ = line.split(" ")
        point = point.replace("\\040", " ")
        if len(point) >= len(found) and path.absolute().is_relative_to(point):
            found, kind = point, type_
    return kind.startswith(_NETWORK)


def make_private(path: Path) -> None:
    """Make a folder where it is missing, durably, for its owner alone.

    Raises:
        BadInput: it cannot be made.
    """
    try:
        missing = [folder for folder in (path, *path.parents) if not folder.exists()]
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        for folder in missing:
            sync(folder.parent)
    except OSError as error:
        raise _cannot_be_kept(path, error) from error


@dataclass(frozen=True, slots=True)
class LockedFolder:
    """A folder that one store uses, or several that share it, until `release` or the death of the process."""

    path: Path
    _lock: IO[str]

    @classmethod
    def take(cls, path: Path, *, is_shared: bool = False) -> "LockedFolder":
        """Make the folder where it is missing, for its owner alone, and lock it.

        Args:
            is_shared: with others that say so, too.
        Raises:
            OutputInUse: another store has it, or others share it.
            BadInput: it cannot be made or written.
        """
        make_private(path)
        try:
            return cls(path, _locked(path, is_shared=is_shared))
        except OSError as error:
            raise _cannot_be_kept(path, error) from error

    def release(self) -> None:
        """Let others have the folder."""
        self._lock.close()


@contextmanager
def opening(folder: Path) -> Iterator[None]:
    """Let one of those that share a folder at a time make or mend what is in it."""
    lock = os.open(folder / "opening", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _cannot_be_kept(path: Path, error: OSError) -> BadInput:
    return BadInput(
        f"jobs cannot be kept in {path}: {error.strerror}",
        hint="name a folder that can be written with --jobs-folder",
    )


def _locked(folder: Path, *, is_shared: bool) -> IO[str]:
    """Lock the folder's lock file, and write into it, for people, who has it."""
    file = os.fdopen(os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600), "r+", encoding="utf-8")
    try:
        # Not `lockf`, which lets a second store of the same process in.
        fcntl.flock(file, (fcntl.LOCK_SH if is_shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        file.truncate()
        file.write("several servers\n" if is_shared else f"process {os.getpid()}\n")
        file.flush()
    except BlockingIOError as error:
        with file:
            holder = file.read(100).strip() or "another process"
        raise OutputInUse(
            f"another server keeps its jobs in {folder}: {holder}",
            hint="stop it, or give this one a folder of its own with --jobs-folder",
        ) from error
    except BaseException:
        file.close()
        raise
    return file
