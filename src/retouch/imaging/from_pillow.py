"""The samples of a Pillow image, whatever its mode."""

import io
from contextlib import suppress

import numpy as np
from PIL import Image, ImageCms

from retouch.errors import ImageError, ImageFormatError
from retouch.foreign import foreign_as
from retouch.imaging.picture import Samples
from retouch.imaging.png_chunks import MAX_ICC_BYTES

_GREY = ("1", "L")
_AS_RGB = ("RGB", "RGBX", "YCbCr", "HSV")
_SIXTEEN = ("I;16", "I;16L", "I;16B", "I;16N")


def samples_of(image: Image.Image) -> tuple[Samples, Samples | None]:
    """Return the pixels, (H, W) or (H, W, 3), and the alpha (H, W) or None of a loaded image.

    Palette and CMYK pictures become RGB; premultiplied ones are divided by their alpha.

    Raises:
        ImageFormatError: floating-point, 32-bit or CIELAB samples.
    """
    mode = image.mode
    has_key = image.info.get("transparency") is not None
    if mode in _SIXTEEN:
        return np.array(image, dtype=np.uint16), None
    if mode in _GREY:
        grey = np.array(_as(image, "L"))
        return grey, np.array(image.convert("RGBA").getchannel("A")) if has_key else None
    if mode in ("LA", "La"):
        image = _as(image, "LA")
        return np.array(image.getchannel("L")), np.array(image.getchannel("A"))
    if mode in ("RGBA", "RGBa", "PA") or (mode in ("P", "RGB") and has_key):
        image = _as(image, "RGBA")
        return _rgb(image), np.array(image.getchannel("A"))
    if mode in (*_AS_RGB, "P"):
        return _rgb(_as(image, "RGB")), None
    if mode == "CMYK":
        return _rgb(_cmyk_to_rgb(image)), None
    raise ImageFormatError(
        f"pictures of mode {mode} cannot be read", hint="convert it to 8 or 16 bits a sample, grey or RGB"
    )


def _as(image: Image.Image, mode: str) -> Image.Image:
    """Convert to a mode, without the copy that Pillow makes of an image that has it."""
    return image if image.mode == mode else image.convert(mode)


def _rgb(image: Image.Image) -> Samples:
    """Return the colours channel by channel: whole, a large picture would be held three times."""
    samples = np.empty((image.height, image.width, 3), np.uint8)
    for index, name in enumerate("RGB"):
        samples[..., index] = np.asarray(image.getchannel(name))
    return samples


def _cmyk_to_rgb(image: Image.Image) -> Image.Image:
    """Convert by the picture's own profile to sRGB, or by the plain formula where it has none that works."""
    profile = image.info.get("icc_profile")
    if isinstance(profile, bytes) and _is_usable(profile):
        with suppress(ImageError), foreign_as(ImageError("the colour profile is broken", hint="leave it out")):
            converted = ImageCms.profileToProfile(
                image,
                ImageCms.ImageCmsProfile(io.BytesIO(profile)),
                ImageCms.createProfile("sRGB"),
                outputMode="RGB",
            )
            if converted is not None:
                return converted
    return image.convert("RGB")


def _is_usable(profile: bytes) -> bool:
    """Tell whether a profile's work is bounded by its size.

    A list of processing elements (`mpet`, ICC.1:2022 section 10.17) may name one element a million times, each
    of which is run at every point of a grid; printers' profiles have tables in its place.
    """
    return len(profile) <= MAX_ICC_BYTES and b"mpet" not in profile
