"""A request's pictures, decoded: what can be looked at before anything is planned."""

from dataclasses import dataclass

from retouch.imaging.decode import decode_picture
from retouch.imaging.mask import PreparedMask
from retouch.imaging.picture import Picture
from retouch.masking import decode_mask, read_mask
from retouch.request import InpaintRequest, Limits


@dataclass(frozen=True, slots=True, eq=False)
class Opened:
    """A settled request with its pictures.

    Attributes:
        request: as it was settled.
        picture: the decoded image.
        mask: as it is composited, at the picture's size.
        mask_picture: the mask as it came in; None where that is the picture's own transparency, and once it was
            looked at.
        warnings: what a person should know of the files.
    """

    request: InpaintRequest
    picture: Picture
    mask: PreparedMask
    mask_picture: Picture | None
    warnings: tuple[str, ...]


def open_pictures(request: InpaintRequest, limits: Limits) -> Opened:
    """Decode the picture and the mask of a settled request.

    Raises:
        BadInput: the image or the mask cannot be used.
    """
    picture = decode_picture(request.image, limits=limits)
    source = decode_mask(request, picture, limits)
    mask_picture = None if source is picture else source
    return Opened(
        request=request,
        picture=picture,
        mask=read_mask(request, source, picture),
        mask_picture=mask_picture,
        warnings=(*picture.warnings, *(() if mask_picture is None else mask_picture.warnings)),
    )
