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
        grey = np.array(image.convert("L"))
        return grey, np.array(image.convert("RGBA").getchannel("A")) if has_key else None
    if mode in ("LA", "La"):
        pair = np.array(image.convert("LA"))
        return _copy(pair[..., 0]), _copy(pair[..., 1])
    if mode in ("RGBA", "RGBa", "PA") or (mode in ("P", "RGB") and has_key):
        four = np.array(image.convert("RGBA"))
        return _copy(four[..., :3]), _copy(four[..., 3])
    if mode in (*_AS_RGB, "P"):
        return np.array(image.convert("RGB")), None
    if mode == "CMYK":
        return np.array(_cmyk_to_rgb(image)), None
    raise ImageFormatError(
        f"pictures of mode {mode} cannot be read", hint="convert it to 8 or 16 bits a sample, grey or RGB"
    )


def _copy(samples: Samples) -> Samples:
    return np.ascontiguousarray(samples)


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
