"""Fetch source packages by their ordinary clients, and unpack what is needed of them."""

from __future__ import annotations

import hashlib
import io
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from retouch.data.sources import Source
from retouch.errors import BadInput, Unavailable

FETCH_TIMEOUT_S = 900


def find_archive(folder: Path, source: Source) -> Path | None:
    """Return the newest archive of a source in a folder of downloads, or None."""
    found = sorted(folder.glob(source.archive))
    return found[-1] if found else None


def fetch(source: Source, folder: Path) -> Path:
    """Return the source's archive in `folder`, downloaded there if it is missing.

    Raises:
        BadInput: the client (npm or apt-get) is not installed.
        Unavailable: the client failed.
    """
    found = find_archive(folder, source)
    if found is not None:
        return found
    folder.mkdir(parents=True, exist_ok=True)
    _download(source, folder)
    found = find_archive(folder, source)
    if found is None:
        raise Unavailable(f"{source.package} was fetched, but no {source.archive} appeared")
    return found


def _download(source: Source, folder: Path) -> None:
    program, arguments = {
        "npm": ("npm", ["pack", "--silent", f"{source.package}@{source.version}"]),
        "apt": ("apt-get", ["download", "--quiet", source.package]),
    }[source.client]
    path = shutil.which(program)
    hint = f"download {source.package} elsewhere and pass its folder as --packages"
    if path is None:
        raise BadInput(f"{source.package} needs {program}, which is not installed", hint=hint)
    try:
        # Program and arguments are constants of this file's table, never a caller's text.
        subprocess.run(  # noqa: S603
            [path, *arguments], cwd=folder, check=True, capture_output=True, timeout=FETCH_TIMEOUT_S
        )
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        said = (error.stderr or b"").decode(errors="replace").strip().splitlines()
        detail = f": {said[-1]}" if said else ""
        raise Unavailable(f"{program} could not fetch {source.package}{detail}", hint=hint) from error


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def unpack(archive: Path, source: Source, target: Path) -> Path:
    """Unpack the source's `folder` from a `.tgz` or `.deb` below `target`; return that folder.

    Links, devices and paths that lead outside are never written.

    Raises:
        BadInput: the archive is damaged, or holds nothing in that folder.
    """
    try:
        with _open_tar(archive) as tar:
            tar.extractall(target, members=_wanted(tar, source.folder), filter="data")
    except (tarfile.TarError, EOFError, ValueError) as error:
        raise BadInput(f"{archive.name} cannot be unpacked: {error}") from error
    root = target / source.folder
    if not root.is_dir():
        raise BadInput(f"{archive.name} has no folder {source.folder}", hint="is it another version?")
    return root


@contextmanager
def unpacked(sources: Iterable[Source], archives: Mapping[str, Path], out: Path) -> Iterator[dict[str, Path]]:
    """Unpack each source's archive in `out`, for as long as the block runs; give their folders by their keys.

    Raises:
        BadInput: an archive is damaged.
    """
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".unpacked-", dir=out) as scratch:
        yield {one.key: unpack(archives[one.key], one, Path(scratch) / one.key) for one in sources}


def _wanted(tar: tarfile.TarFile, folder: str) -> Iterator[tarfile.TarInfo]:
    for member in tar:
        if member.isfile() and member.name.removeprefix("./").startswith(folder + "/"):
            yield member


def _open_tar(archive: Path) -> tarfile.TarFile:
    if archive.suffix != ".deb":
        return tarfile.open(archive)
    return tarfile.open(fileobj=io.BytesIO(_deb_data(archive.read_bytes())))


def _deb_data(deb: bytes) -> bytes:
    """Return the compressed data archive inside a Debian package (an `ar` archive)."""
    if not deb.startswith(b"!<arch>\n"):
        raise ValueError("not a Debian package")
    position = 8
    while position + 60 <= len(deb):
        header = deb[position : position + 60]
        size = int(header[48:58])
        if header[:16].startswith(b"data.tar"):
            return deb[position + 60 : position + 60 + size]
        position += 60 + size + size % 2
    raise ValueError("a Debian package without data")
