"""The mask of a request: which picture holds it, and how it is read."""

from dataclasses import replace

from retouch.errors import MaskError
from retouch.imaging.choices import Polarity
from retouch.imaging.decode import decode_picture
from retouch.imaging.mask import MaskOptions, PreparedMask, prepare_mask
from retouch.imaging.picture import Picture
from retouch.request import InpaintRequest, Limits


def polarity_of(request: InpaintRequest) -> Polarity:
    """Return which pixels are repainted: a picture's own transparency is the mask where none is given."""
    if request.mask_image is None and request.mask_polarity in ("white", "black"):
        return "transparent"  # what is not there is what shall be painted
    return request.mask_polarity


def read_mask(request: InpaintRequest, source: Picture, picture: Picture) -> PreparedMask:
    """Read the mask of a request.

    Args:
        source: what `decode_mask` gave.
    Raises:
        MaskError: it has another size than the picture, or marks nothing.
    """
    options = MaskOptions(polarity_of(request), request.mask_threshold, request.grow_px, request.fill_holes)
    return prepare_mask(source, height=picture.height, width=picture.width, options=options)


def check_mask(request: InpaintRequest, picture: Picture, limits: Limits) -> None:
    """Refuse a mask that cannot be decoded or read, without the work of growing or filling it."""
    source = decode_mask(request, picture, limits)
    read_mask(replace(request, grow_px=0, fill_holes=False), source, picture)


def decode_mask(request: InpaintRequest, picture: Picture, limits: Limits) -> Picture:
    """Return the picture that holds the mask: the one that was given, or the image with its own transparency.

    Raises:
        ImageError: the mask cannot be decoded.
        MaskError: there is none.
    """
    if request.mask_image is not None:
        return decode_picture(request.mask_image, limits=limits)
    if picture.alpha is None:
        raise MaskError(
            "there is no mask, and the picture has no transparency to take for one",
            hint="give `mask_image`, or a picture whose transparent part shall be repainted",
        )
    return picture
