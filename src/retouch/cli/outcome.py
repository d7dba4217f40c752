"""What a finished command leaves behind: the files, and an account of them for people or for scripts."""

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, fields
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retouch.cli.failures import printable
from retouch.cli.outputs import Destination
from retouch.cli.words import spoken_all

if TYPE_CHECKING:
    from retouch.models.bundle import ModelBundle
    from retouch.result import InpaintResult

_PICTURES = ("image", "mask_image")


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """A result that has been written.

    Attributes:
        result: the result.
        bundle: the checkpoint that made it.
        files: where its pictures are, in the order of their seeds; empty for stdout.
        grid: where the sheet is, or None.
        warnings: those of the result and of writing it.
    """

    result: "InpaintResult"
    bundle: "ModelBundle"
    files: tuple[Path, ...]
    grid: Path | None
    warnings: tuple[str, ...]

    def to_json(self) -> str:
        """Return one JSON object on one line; its keys are described in `docs/cli.md`."""
        report = self.result.mask_report.to_dict()
        return json.dumps(
            {
                "files": [str(path) for path in self.files],
                "grid": None if self.grid is None else str(self.grid),
                "seeds": self.result.seeds,
                "spoken_prompts": [fill.spoken_prompt for fill in self.result.fills],
                "nsfw_content_detected": self.result.nsfw_content_detected,
                "kept_pixels_identical": self.result.kept_pixels_identical,
                "mask_report": {**report, "warnings": spoken_all(report["warnings"])},
                "warnings": list(self.warnings),
                "timings_s": {stage: round(seconds, 4) for stage, seconds in self.result.timings_s.items()},
                "request": self._request(),
                "model": self._model(),
            }
        )

    def to_text(self) -> str:
        """Return a few lines for a person."""
        names = self.files or (Path("stdout"),)
        lines = [f"{name}: {fill.caption}" for name, fill in zip(names, self.result.fills, strict=True)]
        lines += [] if self.grid is None else [f"{self.grid}: all of them, side by side"]
        lines += [f"warning: {warning}" for warning in self.warnings]
        return printable("\n".join(lines))

    def _request(self) -> Mapping[str, Any]:
        request = self.result.request
        return {
            field.name: getattr(request, field.name) for field in fields(request) if field.name not in _PICTURES
        }

    def _model(self) -> Mapping[str, Any]:
        names = ("name", "kind", "native_size", "content_hash", "licence")
        return {name: getattr(self.bundle, name) for name in names}


def write(result: "InpaintResult", bundle: "ModelBundle", destination: Destination, *, metadata: bool) -> Outcome:
    """Write the pictures of a result and its sheet to where they shall go."""
    files, written = write_pictures(result, destination, metadata=metadata)
    if destination.grid is not None:
        _write_grid(result, destination.grid)
    warnings = dict.fromkeys(spoken_all([*result.warnings, *written]))
    return Outcome(result, bundle, files, destination.grid, tuple(warnings))


def write_pictures(
    result: "InpaintResult", destination: Destination, *, metadata: bool
) -> tuple[tuple[Path, ...], tuple[str, ...]]:
    """Write the pictures of a result; return their files, none for stdout, and the warnings of writing them."""
    if destination.is_stdout:
        sys.stdout.buffer.write(result.encode("PNG", metadata=metadata))
        sys.stdout.buffer.flush()
        return (), ()
    files = destination.final_paths(result.seeds)
    warnings = [result.save(path, index=index, metadata=metadata) for index, path in enumerate(files)]
    return tuple(files), tuple(chain.from_iterable(warnings))


def _write_grid(result: "InpaintResult", path: Path) -> None:
    from retouch.imaging.grid import grid_picture
    from retouch.imaging.save import save_picture

    outputs = [fill.picture for fill in result.fills]
    save_picture(grid_picture(result.original, result.mask, outputs, prompt=result.request.prompt), path)
