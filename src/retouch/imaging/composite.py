"""The fill laid over the picture, and the measurement that nothing else changed."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retouch.errors import NonFinite
from retouch.imaging.luma import LUMA_WEIGHTS
from retouch.imaging.morphology import Box, bounding_box, crop
from retouch.imaging.picture import Picture, Samples
from retouch.imaging.resample import Pixels

_LUMA = np.array(LUMA_WEIGHTS, np.float32)


@dataclass(frozen=True, slots=True)
class Changes:
    """How much of a picture changed, measured on the decoded samples.

    Attributes:
        kept_pixels: pixels whose weight is 0.
        kept_pixels_changed: those of them of which any sample, alpha included, differs; 0 is the promise.
        repainted_pixels: pixels whose weight is above 0.
        mean_change: mean absolute difference of their samples, as a share of the peak.
    """

    kept_pixels: int
    kept_pixels_changed: int
    repainted_pixels: int
    mean_change: float


@dataclass(frozen=True, slots=True, eq=False)
class Composited:
    """A finished picture.

    Attributes:
        picture: the source with the fill in it; size, depth, profile and EXIF are the source's.
        changes: measured against the source.
        warnings: what a person should know.
    """

    picture: Picture
    changes: Changes
    warnings: tuple[str, ...] = ()

    @property
    def kept_pixels_identical(self) -> bool:
        return self.changes.kept_pixels_changed == 0


def composite(
    picture: Picture,
    fill: Pixels,
    box: Box,
    weights: NDArray[np.float32],
    *,
    alpha_is_mask: bool = False,
) -> Composited:
    """Blend the fill into the picture (`blend`), and measure what changed.

    Arguments and errors are those of `blend`.
    """
    result = blend(picture, fill, box, weights, alpha_is_mask=alpha_is_mask)
    warnings = _warnings(picture, weights, alpha_is_mask)
    return Composited(result, measure_changes(picture, result, weights), warnings)


def blend(
    picture: Picture,
    fill: Pixels,
    box: Box,
    weights: NDArray[np.float32],
    *,
    alpha_is_mask: bool = False,
) -> Picture:
    """Blend the fill into the picture where the weights are above 0, rounding at the picture's own depth.

    A grey picture stays grey. Alpha is kept, inside the mask too: what is transparent there stays so. Only where
    the picture's own transparency was the mask (`alpha_is_mask`) does the repainted part become opaque; then the
    colours under transparent pixels, which nobody has seen, do not enter the blend.

    Args:
        picture: the source.
        fill: (H, W, 3) in [0, 1] of the box (`Region.undo`); values outside are clipped.
        box: of the picture, which the fill covers; outside it nothing changes.
        weights: (H, W) of the picture's size, 0 on every kept pixel (`feather_weights`).
        alpha_is_mask: the mask was read from the picture's own alpha channel.

    Raises:
        NonFinite: the fill holds NaN or infinity.
    """
    assert fill.shape == (box[3] - box[1], box[2] - box[0], 3)
    assert weights.shape == (picture.height, picture.width)
    painted = bounding_box(crop(weights, box) > 0)
    if painted is None:
        return picture
    fill = crop(fill, painted)
    if not np.isfinite(fill).all():
        raise NonFinite("the model produced values that are no numbers", hint="try another precision or seed")
    box = _within(box, painted)
    weight = crop(weights, box)
    source, alpha = crop(picture.pixels, box), None
    kept_share = 1 - weight
    if picture.alpha is not None and alpha_is_mask:
        alpha = crop(picture.alpha, box)
        kept_share = kept_share * (alpha.astype(np.float32) / np.float32(picture.peak))
    blended = _blend(source, _in_colours_of(picture, fill), weight, kept_share)
    result = picture.with_pixels(_placed(picture.pixels, blended, box, weight))
    if picture.alpha is not None and alpha is not None:
        opaque = _round(alpha * (1 - weight) + np.float32(picture.peak) * weight, alpha)
        result = replace(result, alpha=_placed(picture.alpha, opaque, box, weight))
    return result


def measure_changes(before: Picture, after: Picture, weights: NDArray[np.float32]) -> Changes:
    """Compare two pictures of one size and depth, sample by sample, apart where the weights are 0 and above."""
    repainted = weights > 0
    differs = _differs(before.pixels, after.pixels)
    if before.alpha is not None and after.alpha is not None:
        differs |= before.alpha != after.alpha
    elif before.alpha is not after.alpha:
        differs[:] = True
    count = int(np.count_nonzero(repainted))
    return Changes(
        kept_pixels=repainted.size - count,
        kept_pixels_changed=int(np.count_nonzero(differs & ~repainted)),
        repainted_pixels=count,
        mean_change=_mean_change(before, after, repainted),
    )


def _mean_change(before: Picture, after: Picture, repainted: NDArray[np.bool_]) -> float:
    box = bounding_box(repainted)
    if box is None:
        return 0.0
    inside = crop(repainted, box)
    old, new = (crop(picture.pixels, box)[inside].astype(np.int32) for picture in (before, after))
    return float(np.abs(old - new).mean() / before.peak)


def _within(outer: Box, inner: Box) -> Box:
    """Return a box that is given relative to another one as a box of the picture."""
    left, top = outer[:2]
    return left + inner[0], top + inner[1], left + inner[2], top + inner[3]


def _in_colours_of(picture: Picture, fill: Pixels) -> NDArray[np.float32]:
    """Return the fill in 0..peak, as luma where the picture is grey."""
    scaled = np.clip(fill, 0, 1) * np.float32(picture.peak)
    return np.asarray(scaled @ _LUMA if picture.pixels.ndim == 2 else scaled)


def _blend(
    source: Samples, fill: NDArray[np.float32], weight: NDArray[np.float32], kept_share: NDArray[np.float32]
) -> Samples:
    """Return (weight · fill + kept_share · source) / (weight + kept_share), rounded to the source's depth."""
    total = weight + kept_share
    share = np.divide(weight, total, out=np.zeros_like(weight), where=total > 0)
    if source.ndim == 3:
        share = share[..., None]
    blended = source * (1 - share)
    blended += fill * share
    return _round(blended, source)


def _round(values: NDArray[np.float32], like: Samples) -> Samples:
    return np.rint(values, out=values).astype(like.dtype)


def _placed(source: Samples, painted: Samples, box: Box, weight: NDArray[np.float32]) -> Samples:
    """Return a copy of the source with the box painted over it where the weight is above 0, and only there."""
    result = source.copy()
    inside = weight > 0
    np.copyto(crop(result, box), painted, where=inside[..., None] if source.ndim == 3 else inside)
    return result


def _differs(before: Samples, after: Samples) -> NDArray[np.bool_]:
    unequal: NDArray[Any] = before != after
    # Channel by channel: several times faster than `any` over an axis of three.
    return unequal[..., 0] | unequal[..., 1] | unequal[..., 2] if unequal.ndim == 3 else unequal


def _warnings(picture: Picture, weights: NDArray[np.float32], alpha_is_mask: bool) -> tuple[str, ...]:
    if picture.alpha is None or alpha_is_mask:
        return ()
    hidden = np.count_nonzero(picture.alpha[weights > 0] == 0)
    if not hidden:
        return ()
    return (f"{hidden} repainted pixels are transparent in the picture and stay so",)
