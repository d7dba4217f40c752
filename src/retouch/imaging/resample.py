"""Pictures, and masks, at another size."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from retouch.imaging.morphology import Mask

Pixels = NDArray[np.float32]


def resize(pixels: Pixels, height: int, width: int) -> Pixels:
    """Resize (H, W, 3) in [0, 1] with an antialiased Lanczos filter, clipped to [0, 1] again."""
    if pixels.shape[:2] == (height, width):
        return pixels
    resized = np.empty((height, width, pixels.shape[2]), np.float32)
    for channel in range(pixels.shape[2]):
        plane = Image.fromarray(np.ascontiguousarray(pixels[..., channel]))
        resized[..., channel] = np.asarray(plane.resize((width, height), Image.Resampling.LANCZOS))
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
    counts = np.zeros((source + 1, mask.shape[1]), np.int32)
    np.cumsum(mask, axis=0, out=counts[1:])
    return counts[behind] > counts[first]


def mirrored(size: int, wanted: int) -> NDArray[np.intp]:
    """Return indices that continue 0, ..., size - 1 to `wanted` by reflection at the last sample, and so on."""
    if size == 1:
        return np.zeros(wanted, np.intp)
    period = 2 * (size - 1)
    places = np.arange(wanted) % period
    return np.minimum(places, period - places)
