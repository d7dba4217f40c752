"""Which part of a picture the model is given, and which part of a hole."""

from collections.abc import Callable

import numpy as np

from retouch.errors import ImageTooLarge
from retouch.ground import continue_ground
from retouch.imaging.morphology import Mask
from retouch.imaging.picture import Picture
from retouch.imaging.region import MAX_AREAS, Region, plan_region, reference_region, unscaled_region
from retouch.imaging.room import roomiest
from retouch.models.bundle import ModelBundle
from retouch.opened import Opened
from retouch.place import Place
from retouch.request import InpaintRequest

_LEAST_GROUND = 0.25
"""Pixels that are seen to those of a hole: where there are fewer, patches have too little to choose from."""
_BUCKET_SHARE = 8
"""Canvas sides snap to this fraction of the native size (64 px at 512), so that different pictures share calls."""


def place_of(opened: Opened, bundle: ModelBundle, *, is_hole_hidden: bool, check: Callable[[], object]) -> Place:
    """Return what the model is given.

    One that paints a thing in the middle of its hole, and cannot continue the ground, would paint a slice of the
    thing into a stroke. There it is given the place with most room, and the rest is filled without it; unless the
    request says what part of the picture counts, or what the hole begins with.

    Args:
        opened: of a settled request.
        is_hole_hidden: the model is not given what the hole held.
        check: called some times a second while the rest is filled; what it raises ends the work.
    Raises:
        ImageTooLarge: the reference mode, which scales nothing, cannot see that much.
    """
    request, picture, mask = opened.request, opened.picture, opened.mask.pixels
    advice = bundle.recommended
    paints_things = advice.context is not None and advice.removal is not None and request.asks_model
    is_silent = request.region == "auto" and request.padding_px is None and is_hole_hidden
    if paints_things and is_silent and not request.reference and _shows_ground(picture, mask):
        part = roomiest(mask)
        if part is not None:
            assert advice.removal is not None
            picture = continue_ground(
                picture,
                mask,
                advice.removal,
                seam=request.seam or "off",
                alpha_is_mask=request.mask_image is None,
                check=check,
            )
            mask = part
    return Place(picture, mask, _region(request, mask, bundle))


def _shows_ground(picture: Picture, mask: Mask) -> bool:
    """Tell whether enough of a picture is seen for the hole to be continued from it."""
    seen = ~mask if picture.alpha is None else ~mask & (picture.alpha > 0)
    return _LEAST_GROUND * int(np.count_nonzero(mask)) <= int(np.count_nonzero(seen))


def _region(request: InpaintRequest, mask: Mask, bundle: ModelBundle) -> Region:
    height, width = mask.shape
    if request.reference:
        return _within_reach(reference_region(height, width, size_multiple=bundle.size_multiple), bundle)
    if not request.asks_model:
        return unscaled_region(mask, mode=request.region, padding_px=request.padding_px)
    return plan_region(
        mask,
        mode=request.region,
        native_size=bundle.native_size,
        size_multiple=bundle.size_multiple,
        padding_px=request.padding_px,
        context=bundle.recommended.context,
        bucket=max(1, bundle.native_size // _BUCKET_SHARE),
    )


def _within_reach(region: Region, bundle: ModelBundle) -> Region:
    """Refuse a canvas beyond what a scaled region would get: attention over it would take all memory there is."""
    height, width = region.canvas
    most = MAX_AREAS * bundle.native_size**2
    if height * width > most:
        raise ImageTooLarge(
            f"the picture is {width}x{height}, and the reference mode does not scale it",
            hint=f"scale it to at most {most} pixels, or leave the reference mode out",
        )
    return region
