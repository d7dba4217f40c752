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


def read_mask(request: InpaintRequest, picture: Picture, limits: Limits) -> tuple[PreparedMask, tuple[str, ...]]:
    """Read the mask of a request whose image is decoded; return it, and what a person should know of its file.

    Raises:
        ImageError: the mask cannot be decoded.
        MaskError: there is none, it has another size, or marks nothing.
    """
    options = MaskOptions(polarity_of(request), request.mask_threshold, request.grow_px, request.fill_holes)
    source = _source(request, picture, limits)
    mask = prepare_mask(source, height=picture.height, width=picture.width, options=options)
    return mask, () if source is picture else source.warnings


def check_mask(request: InpaintRequest, picture: Picture, limits: Limits) -> None:
    """Refuse a mask that `read_mask` would refuse, without the work of growing or filling it."""
    read_mask(replace(request, grow_px=0, fill_holes=False), picture, limits)


def _source(request: InpaintRequest, picture: Picture, limits: Limits) -> Picture:
    if request.mask_image is not None:
        return decode_picture(request.mask_image, limits=limits)
    if picture.alpha is None:
        raise MaskError(
            "there is no mask, and the picture has no transparency to take for one",
            hint="give `mask_image`, or a picture whose transparent part shall be repainted",
        )
    return picture
