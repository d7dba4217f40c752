"""EXIF orientation, applied to the samples. Source: tag 0x0112 of TIFF revision 6.0."""

import numpy as np

from retouch.imaging.picture import Samples


def turn(samples: Samples, orientation: int) -> Samples:
    """Return the samples (H, W) or (H, W, C) as EXIF `orientation` (1..8) says they are to be seen."""
    turned = samples[:, ::-1] if orientation in (2, 3, 7, 8) else samples
    if orientation in (3, 4, 6, 7):
        turned = turned[::-1]
    if orientation >= 5:
        turned = turned.swapaxes(0, 1)
    return np.ascontiguousarray(turned)
