"""Pictures from NumPy arrays: the axis order is never guessed."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from retouch.errors import ImageError
from retouch.imaging.picture import Picture, Samples


def picture_of_array(array: NDArray[Any]) -> Picture:
    """Make a picture of an array (H, W), (H, W, 1), (H, W, 3) or (H, W, 4).

    Args:
        array: uint8, uint16, bool, or floats in [0, 1], which are rounded to 8 bits.

    Raises:
        ImageError: another shape or type, values outside [0, 1], NaN or infinity.
    """
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (1, 3, 4)):
        raise ImageError(
            f"an array of shape {_shape(array)} is not a picture",
            hint="use (H, W), (H, W, 3) or (H, W, 4): channels last, one picture",
        )
    samples = np.array(_samples(array), order="C")
    if samples.ndim == 2 or samples.shape[2] == 1:
        return Picture(samples.reshape(samples.shape[:2]), source_mode="L")
    if samples.shape[2] == 3:
        return Picture(samples)
    colours, alpha = np.ascontiguousarray(samples[..., :3]), np.ascontiguousarray(samples[..., 3])
    return Picture(colours, alpha, source_mode="RGBA")


def _samples(array: NDArray[Any]) -> Samples:
    native = array.dtype.newbyteorder("=")
    if native in (np.uint8, np.uint16):
        return array.astype(native)
    if array.dtype == np.bool_:
        return array.astype(np.uint8) * np.uint8(255)
    if not np.issubdtype(array.dtype, np.floating):
        raise ImageError(f"arrays of {array.dtype} are not pictures", hint="use uint8, uint16 or floats in [0, 1]")
    if not np.isfinite(array).all():
        raise ImageError("the array holds NaN or infinity", hint="use finite values in [0, 1]")
    if array.size and not (array.min() >= 0 and array.max() <= 1):
        raise ImageError("the array's floats are outside [0, 1]", hint="scale it, or convert it to uint8")
    return np.rint(array.astype(np.float64) * 255).astype(np.uint8)


def _shape(array: NDArray[Any]) -> str:
    return "x".join(str(side) for side in array.shape) or "()"
