"""Where results go: names of variants, and every refusal that can come before the work."""

import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from os.path import realpath
from pathlib import Path

from retouch.errors import BadInput

STDOUT = Path("-")
SEED_MARK = "{seed}"


@dataclass(frozen=True, slots=True)
class Destination:
    """Where the pictures of one command go.

    Attributes:
        output: a path, perhaps with `{seed}` in its name; `-` is stdout.
        grid: a path for the sheet of all pictures, or None.
        inputs: files that may not be replaced unless `overwrite`.
        overwrite: let an output replace an input.
    """

    output: Path
    grid: Path | None = None
    inputs: tuple[Path, ...] = ()
    overwrite: bool = False

    @property
    def is_stdout(self) -> bool:
        return self.output == STDOUT

    def check(self, count: int, *, seed: int | None = None, as_json: bool = False) -> None:
        """Refuse, before any work, what could not be written after it; make missing folders.

        Args:
            count: how many pictures will come.
            seed: of the first; None where it is drawn later, and files that are named by it are compared then.
            as_json: stdout is promised to a JSON object.
        Raises:
            BadInput: too much for stdout, no folder to write into, an input in the way, or one name for two.
        """
        from retouch.imaging.save import format_of_path
        from retouch.request import seeds_of

        if self.is_stdout:
            _check_stdout(count, as_json=as_json)
        pictures = [] if self.is_stdout else self.paths(seeds_of(seed or 0, count))
        paths = pictures + ([] if self.grid is None else [self.grid])
        for path in paths:
            format_of_path(path)
            if path.is_dir():
                raise BadInput(f"{path} is a folder", hint="name a file in it")
        is_named_later = seed is None and SEED_MARK in self.output.name
        self._refuse_collisions([] if is_named_later else pictures)
        for folder in {path.parent for path in paths}:
            _probe(folder)

    def paths(self, seeds: Sequence[int]) -> list[Path]:
        """Name the files of variants: `out.png`, `out-2.png`, ...; or each by its seed where the name says so."""
        if SEED_MARK in self.output.name:
            return [self.output.with_name(self.output.name.replace(SEED_MARK, str(seed))) for seed in seeds]
        stem, suffix = self.output.stem, self.output.suffix
        later = [self.output.with_name(f"{stem}-{n}{suffix}") for n in range(2, len(seeds) + 1)]
        return [self.output, *later]

    def final_paths(self, seeds: Sequence[int]) -> list[Path]:
        """Name the files once the seeds are known.

        Raises:
            BadInput: a name that holds its seed turns out to be an input's, or the sheet's.
        """
        paths = self.paths(seeds)
        self._refuse_collisions(paths)
        return paths

    def _refuse_collisions(self, pictures: Sequence[Path]) -> None:
        if self.grid is not None and realpath(self.grid) in map(realpath, pictures):
            raise BadInput("--output and --grid name the same file")
        for path in (*pictures, *([] if self.grid is None else [self.grid])):
            if not self.overwrite and any(_is_same_file(path, source) for source in self.inputs):
                raise BadInput(f"{path} is an input, too", hint="choose another --output, or add --overwrite")


def _check_stdout(count: int, *, as_json: bool) -> None:
    if as_json:
        raise BadInput("stdout cannot take the picture and --json", hint="name a file with --output")
    if count > 1:
        raise BadInput("stdout takes one picture", hint="name a file with --output for several variants")
    if sys.stdout.isatty():
        raise BadInput(
            "stdout is a terminal, which shows no PNG", hint="redirect it, or name a file with --output"
        )


def _is_same_file(path: Path, other: Path) -> bool:
    return path.exists() and other.exists() and path.samefile(other)


def _probe(folder: Path) -> None:
    """Make the folder and write an unnamed file into it: permission bits alone do not know a read-only disk."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=os.fspath(folder)):
            pass
    except OSError as error:
        raise BadInput(f"cannot write into {folder}: {error.strerror}") from error
