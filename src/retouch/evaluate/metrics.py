"""Measures of one fill against its truth and its surroundings.

All pictures are (H, W, 3) bytes, all masks (H, W) booleans with True = repainted; pure NumPy.
"""

import numpy as np
from numpy.typing import NDArray

from retouch.imaging.luma import LUMA_WEIGHTS
from retouch.imaging.morphology import Box, Mask, bounding_box

U8 = NDArray[np.uint8]
F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

# Rounding to bytes alone leaves an error of 1/12 level squared, 58.9 dB: more is not a better picture.
PSNR_CEILING_DB = 60.0
_LUMA = np.array(LUMA_WEIGHTS)


def luma(picture: U8) -> F64:
    """Return BT.601 luma of (H, W, 3) bytes: (H, W) in 0..255."""
    return np.asarray(picture.astype(np.float64) @ _LUMA)


def psnr(picture: U8, truth: U8, mask: Mask) -> float:
    """Return the peak signal-to-noise ratio inside the mask, in dB, at most `PSNR_CEILING_DB`."""
    error = picture[mask].astype(np.float64) - truth[mask].astype(np.float64)
    if error.size == 0:
        return float("nan")
    squared = float(np.mean(error**2))
    if squared == 0:
        return PSNR_CEILING_DB
    return min(10 * float(np.log10(255.0**2 / squared)), PSNR_CEILING_DB)


def ssim_map(first: F64, second: F64) -> F64:
    """Return the structural similarity at every pixel of two grey pictures (H, W) in 0..255.

    Wang et al. 2004, eq. 13: Gaussian window of sigma 1.5 cut at 11 taps, K1 = 0.01, K2 = 0.03, population
    covariance; borders are mirrored.
    """
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    mean_a, mean_b = _blur(first), _blur(second)
    var_a = _blur(first * first) - mean_a**2
    var_b = _blur(second * second) - mean_b**2
    cov = _blur(first * second) - mean_a * mean_b
    top = (2 * mean_a * mean_b + c1) * (2 * cov + c2)
    return np.asarray(top / ((mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2)))


def ssim(picture: U8, truth: U8, mask: Mask | None = None) -> float:
    """Return the mean structural similarity of the luma, over the mask's pixels or all of them."""
    values = ssim_map(luma(picture), luma(truth))
    return float(values.mean() if mask is None else values[mask].mean())


def seam_ratio(picture: U8, mask: Mask, *, reach_px: int = 4) -> float:
    """Return how much steeper the picture is across the mask's border than beside it; 1 is no visible seam.

    Steps between neighbours where one is repainted and the other kept are compared with the steps of the
    same direction that lie within `reach_px` of the border, wholly kept or wholly repainted. One level is
    added to both means, so that flat ground does not divide by nothing.

    Returns:
        NaN where the mask has no border inside the picture.
    """
    near = _near_border(mask, reach_px)
    across: list[F64] = []
    beside: list[F64] = []
    for axis in (0, 1):
        # (pairs) colour distance of each pixel to its next neighbour along the axis
        step = np.abs(np.diff(picture.astype(np.float64), axis=axis)).mean(axis=2)
        one, other = (np.delete(mask, index, axis=axis) for index in (-1, 0))
        close = np.delete(near, -1, axis=axis) & np.delete(near, 0, axis=axis)
        across.append(step[one != other])
        beside.append(step[(one == other) & close])
    crossing, reference = np.concatenate(across), np.concatenate(beside)
    if crossing.size == 0 or reference.size == 0:
        return float("nan")
    return float((crossing.mean() + 1) / (reference.mean() + 1))


def kept_identical_share(picture: U8, source: U8, mask: Mask) -> float:
    """Return the share of kept pixels that are bit for bit the source's; NaN where nothing is kept."""
    kept = ~mask
    if not kept.any():
        return float("nan")
    return float((picture[kept] == source[kept]).all(axis=1).mean())


def composite(fill: U8, source: U8, mask: Mask) -> U8:
    """Return the fill inside the mask and the source everywhere else."""
    return np.where(mask[..., None], fill, source)


def mask_box(mask: Mask) -> Box:
    """Return the bounding box of the repainted pixels.

    Raises:
        ValueError: the mask is empty.
    """
    box = bounding_box(mask)
    if box is None:
        raise ValueError("the mask marks no pixel")
    return box


def grow_city_block(mask: Mask, radius_px: int) -> Mask:
    """Return the mask widened by `radius_px` in city-block distance."""
    wide = mask.copy()
    for _ in range(radius_px):
        before = wide
        wide = before.copy()
        wide[1:] |= before[:-1]
        wide[:-1] |= before[1:]
        wide[:, 1:] |= before[:, :-1]
        wide[:, :-1] |= before[:, 1:]
    return wide


def ring(mask: Mask) -> Mask:
    """Return the kept pixels around a hole, a sixteenth of the picture's shorter side wide (two at least)."""
    return grow_city_block(mask, max(2, round(min(mask.shape) / 16))) & ~mask


def cosine_distance(first: F32, second: F32) -> F64:
    """Return 1 - cos of the angle between each row (N, D) and its counterpart: 0 for alike, 1 for unrelated."""
    a, b = first.astype(np.float64), second.astype(np.float64)
    lengths = np.linalg.norm(a, axis=-1) * np.linalg.norm(b, axis=-1)
    return np.asarray(np.maximum(1 - (a * b).sum(axis=-1) / np.maximum(lengths, 1e-12), 0))


def slope(x: F64, y: F64) -> float:
    """Return the slope of the least-squares line of y on x; NaN where x does not vary."""
    away = x - x.mean()
    spread = float((away**2).sum())
    return float((away * (y - y.mean())).sum()) / spread if spread > 0 else float("nan")


def _near_border(mask: Mask, reach_px: int) -> Mask:
    return grow_city_block(mask, reach_px) & grow_city_block(~mask, reach_px)


def _blur(picture: F64) -> F64:
    """Blur (H, W) by the 11-tap Gaussian of sigma 1.5, one axis after the other."""
    taps = np.exp(-0.5 * (np.arange(-5, 6) / 1.5) ** 2)
    taps /= taps.sum()
    padded = np.pad(picture, 5, mode="symmetric")
    rows = np.lib.stride_tricks.sliding_window_view(padded, 11, axis=0) @ taps
    return np.asarray(np.lib.stride_tricks.sliding_window_view(rows, 11, axis=1) @ taps)
