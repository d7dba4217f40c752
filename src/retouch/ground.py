"""A hole filled out of what surrounds it, without a model."""

from collections.abc import Callable

import numpy as np
import torch

from retouch.engine.hole import spread_colors
from retouch.engine.patches import continue_patches
from retouch.imaging.choices import Continuation, SeamMode
from retouch.imaging.composite import blend
from retouch.imaging.morphology import Mask
from retouch.imaging.picture import Picture
from retouch.imaging.region import unscaled_region
from retouch.place import Place


def continued(
    image: torch.Tensor, unknown: torch.Tensor, how: Continuation, *, seed: int, check: Callable[[], object]
) -> torch.Tensor:
    """Return a canvas (3, h, w) in [-1, 1] with its hole filled.

    Args:
        image, unknown: `Place.image`, `Place.unknown`.
        seed: of the search for patches.
        check: called some times a second while patches are searched; what it raises ends the work.
    """
    if how == "patchmatch":
        return continue_patches(image, unknown, seed=seed, check=check)
    return spread_colors(image, unknown)


def continue_ground(
    picture: Picture,
    mask: Mask,
    how: Continuation,
    *,
    seam: SeamMode,
    alpha_is_mask: bool,
    check: Callable[[], object],
) -> Picture:
    """Return a picture with its hole filled, for something to be painted on; no seed changes it.

    Args:
        mask: (H, W), True = repaint; nothing that it hides is looked at.
        alpha_is_mask: the mask is the picture's own transparency; what is filled becomes opaque.
        check: called some times a second while patches are searched; what it raises ends the work.
    """
    place = Place(picture, mask, unscaled_region(mask))
    image = continued(place.image(is_hole_hidden=True), place.unknown(), how, seed=0, check=check)
    part = place.part()
    fill = place.fill((image + 1) / 2, part, seam=seam)
    return blend(picture, fill, part, mask.astype(np.float32), alpha_is_mask=alpha_is_mask)
