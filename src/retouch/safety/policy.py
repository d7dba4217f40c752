"""What a check found, what follows from it, and what is done to a refused picture."""

from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from retouch.errors import Blocked, Unchecked
from retouch.imaging.picture import Picture, Samples
from retouch.request import SafetyPolicy

Decision = Literal["pass", "flag", "failed", "off"]
Bucket = Literal["low", "near", "high"]

_BUCKETS = get_args(Bucket)
_BLUR_CELLS = 8


@dataclass(frozen=True, slots=True)
class Finding:
    """One reason against a picture.

    Attributes:
        checker: who found it; empty where there was no checker.
        category: what the checker looks for (`nsfw`, `violence`, ...), or `check_failed`.
        view: which part it saw: `whole`, `tile 2/3`, `focus on black`; empty where none was seen.
        bucket: how sure it was.
    """

    checker: str
    category: str
    view: str = ""
    bucket: Bucket = "high"


@dataclass(frozen=True, slots=True)
class Score:
    """How much of a category a checker saw in a view, on its own scale.

    Attributes:
        threshold: at it or above the picture is refused.
        near: from it on the value is close to that.
    """

    category: str
    view: str
    value: float
    threshold: float
    near: float

    @property
    def bucket(self) -> Bucket:
        if self.value >= self.threshold:
            return "high"
        return "near" if self.value >= self.near else "low"


@dataclass(frozen=True, slots=True)
class Check:
    """What one checker said of one picture; no scores: it failed, which counts as unsafe.

    Attributes:
        scores: for the operator's own statistics: `as_dict` leaves them out, because whoever reads scores can
            search for pictures just below a threshold.
    """

    checker: str
    version: str
    scores: tuple[Score, ...] = ()

    @property
    def bucket(self) -> Bucket | None:
        """The highest bucket over all views and categories; None where nothing was scored."""
        return max((score.bucket for score in self.scores), key=_BUCKETS.index, default=None)

    def findings(self) -> tuple[Finding, ...]:
        """Return what speaks against the picture."""
        if not self.scores:
            return (Finding(self.checker, "check_failed"),)
        return tuple(Finding(self.checker, s.category, s.view) for s in self.scores if s.bucket == "high")

    def as_dict(self) -> dict[str, Any]:
        """Return what clients and metadata may hold."""
        return {
            "checker": self.checker,
            "version": self.version,
            "thresholds": {score.category: score.threshold for score in self.scores},
            "bucket": self.bucket,
        }


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome of checking one picture, by one checker or several.

    Attributes:
        decision: `pass`; `flag` (unsafe); `failed` (a check could not be made, which counts as unsafe); `off`.
    """

    decision: Decision
    policy: SafetyPolicy
    checks: tuple[Check, ...] = ()
    findings: tuple[Finding, ...] = ()

    @property
    def nsfw_content_detected(self) -> bool | None:
        """The flag of diffusers' pipelines; None where no check was made, never False for it."""
        return None if self.decision == "off" else self.decision != "pass"

    def as_dict(self) -> dict[str, Any]:
        """Return what clients and metadata may hold; empty where no check was made."""
        if self.decision == "off":
            return {}
        return {
            "decision": self.decision,
            "policy": self.policy,
            "checks": [check.as_dict() for check in self.checks],
            "findings": [asdict(finding) for finding in self.findings],
        }


def enforce(picture: Picture, verdict: Verdict) -> Picture:
    """Return what may be handed out: the picture itself, or its black or blurred stand-in.

    Raises:
        Blocked: the picture was refused, or could not be checked (`Unchecked`), and the policy is `error`.
    """
    if verdict.decision in ("pass", "off"):
        return picture
    if verdict.policy == "error":
        kind, what = (
            (Blocked, "was refused by") if verdict.decision == "flag" else (Unchecked, "could not be checked by")
        )
        raise kind(
            f"the picture {what} the safety checker {names_in(verdict)}",
            hint="another prompt or seed; the operator sets the policy (black, blur, error, off)",
        )
    return blurred(picture) if verdict.policy == "blur" else blackened(picture)


def names_in(verdict: Verdict) -> str:
    """Return the names of the checkers that found something."""
    return ", ".join(dict.fromkeys(finding.checker for finding in verdict.findings)) or "(none)"


def blackened(picture: Picture) -> Picture:
    """Return an entirely black, opaque picture of the same size, depth and channels, without EXIF."""
    return replace(picture, pixels=np.zeros_like(picture.pixels), alpha=_opaque(picture), exif=None)


def blurred(picture: Picture) -> Picture:
    """Return an opaque picture that keeps no more of the original than a grid of 8 by 8 mean colours."""
    height, width = picture.height, picture.width
    grid = _cell_means(picture.pixels.astype(np.float64))
    smooth = _stretch(_stretch(grid, height, axis=0), width, axis=1)
    pixels: Samples = np.rint(smooth).astype(picture.pixels.dtype)
    return replace(picture, pixels=pixels, alpha=_opaque(picture), exif=None)


def _opaque(picture: Picture) -> Samples | None:
    # The silhouette in an alpha channel would show what the colours hide.
    return None if picture.alpha is None else np.full_like(picture.alpha, picture.peak)


def _cell_means(pixels: NDArray[np.float64]) -> NDArray[np.float64]:
    for axis in (0, 1):
        size = pixels.shape[axis]
        starts = np.unique(np.linspace(0, size, min(_BLUR_CELLS, size), endpoint=False).astype(int))
        counts = np.diff(np.append(starts, size)).reshape([-1 if a == axis else 1 for a in range(pixels.ndim)])
        pixels = np.add.reduceat(pixels, starts, axis=axis) / counts
    return pixels


def _stretch(grid: NDArray[np.float64], size: int, *, axis: int) -> NDArray[np.float64]:
    cells = grid.shape[axis]
    position = np.clip((np.arange(size) + 0.5) * cells / size - 0.5, 0, cells - 1)
    low = np.floor(position).astype(int)
    weight = (position - low).reshape([-1 if a == axis else 1 for a in range(grid.ndim)])
    high = np.minimum(low + 1, cells - 1)
    smooth: NDArray[np.float64] = np.take(grid, low, axis) * (1 - weight) + np.take(grid, high, axis) * weight
    return smooth
