"""Pictures, and masks, at another size."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from retouch.imaging.morphology import Box, Mask, crop

Pixels = NDArray[np.float32]


def resize(pixels: Pixels, height: int, width: int, part: Box | None = None) -> Pixels:
    """Resize (H, W, 3) in [0, 1] with an antialiased Lanczos filter, clipped to [0, 1] again.

    Args:
        height, width: of the whole result.
        part: the box of the result that is wanted; None is all of it. Only that is computed, from every sample
            that the filter reaches, so that it is the crop of the whole to float precision.
    """
    left, top, right, bottom = part = part or (0, 0, width, height)
    if pixels.shape[:2] == (height, width):
        return crop(pixels, part)
    across, down = pixels.shape[1] / width, pixels.shape[0] / height
    source = (left * across, top * down, right * across, bottom * down)
    resized = np.empty((bottom - top, right - left, pixels.shape[2]), np.float32)
    for channel in range(pixels.shape[2]):
        plane = Image.fromarray(np.ascontiguousarray(pixels[..., channel]))
        scaled = plane.resize((right - left, bottom - top), Image.Resampling.LANCZOS, box=source)
        resized[..., channel] = np.asarray(scaled)
    return np.clip(resized, 0, 1, out=resized)


def cover_resize(mask: Mask, height: int, width: int) -> Mask:
    """Resize (H, W); a pixel of the result is marked if it touches any marked pixel, so that nothing vanishes."""
    if mask.shape == (height, width):
        return mask
    return _cover_axis(_cover_axis(mask, height).T, width).T.copy()


def _cover_axis(mask: Mask, size: int) -> Mask:
    """Resize the first axis: result `j` covers the sources from floor(j·S/D) up to ceil((j + 1)·S/D)."""
    source = len(mask)
    if source == size:
        return mask
    places = np.arange(size, dtype=np.int64)
    first = places * source // size
    behind = -(-(places + 1) * source // size)
    # Every second entry is what lies between two results, and left out; the row added is where the last one ends.
    bounds = np.stack((first, behind), axis=1).ravel()
    return np.logical_or.reduceat(np.concatenate((mask, mask[:1])), bounds)[::2]


def mirrored(size: int, wanted: int, *, before: int = 0) -> NDArray[np.intp]:
    """Return `wanted` indices that continue 0, ..., size - 1 by reflection at the first and the last sample.

    The 0 of the samples is at place `before`.
    """
    if size == 1:
        return np.zeros(wanted, np.intp)
    period = 2 * (size - 1)
    places = (np.arange(wanted) - before) % period
    return np.minimum(places, period - places)
