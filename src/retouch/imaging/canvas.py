"""The canvas: the part of a picture that the model sees, as floats at the model's size."""

import numpy as np

from retouch.imaging.morphology import Mask, crop
from retouch.imaging.picture import Picture
from retouch.imaging.region import Region
from retouch.imaging.resample import Pixels

_GREY = np.float32(0.5)


def canvas_of(picture: Picture, region: Region, *, hidden: Mask | None = None) -> Pixels:
    """Return the canvas (h, w, 3) in [0, 1] of a picture; a grey one is spread over three channels.

    The picture is cropped first and scaled channel by channel, so that a photograph of 50 million pixels is never
    held as floats whole.

    Args:
        picture: the whole one.
        region: what the model sees of it.
        hidden: (H, W), of the picture's size; what is True becomes mid-grey before anything is scaled, so that no
            filter carries it over the edge.
    """
    samples = crop(picture.pixels, region.box)
    planes = [samples] if samples.ndim == 2 else [samples[..., channel] for channel in range(3)]
    hole = None if hidden is None else crop(hidden, region.box)
    scaled = []
    for plane in planes:
        unit = plane.astype(np.float32)
        unit /= np.float32(picture.peak)
        if hole is not None:
            unit[hole] = _GREY
        scaled.append(region.scale(unit[..., None]))
    return np.concatenate(scaled * (3 // len(scaled)), axis=2)
