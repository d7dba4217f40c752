"""A mask as text for metadata: one bit a pixel, compressed, base64."""

import base64
import binascii
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from retouch.errors import MaskError
from retouch.imaging.limits import DEFAULT_DECODE_LIMITS, DecodeLimits
from retouch.imaging.morphology import Mask
from retouch.imaging.png_chunks import inflate


def pack_mask(mask: Mask) -> dict[str, Any]:
    """Return {"width", "height", "bits"} of a mask (H, W): rows padded to bytes, zlib, base64."""
    rows = np.packbits(mask, axis=1)
    bits = base64.b64encode(zlib.compress(rows.tobytes(), 9)).decode("ascii")
    return {"width": mask.shape[1], "height": mask.shape[0], "bits": bits}


def unpack_mask(packed: Mapping[str, Any], *, limits: DecodeLimits = DEFAULT_DECODE_LIMITS) -> Mask:
    """Return the mask (H, W) that `pack_mask` packed; its size is checked before it is inflated.

    Raises:
        MaskError: fields are missing, the size is over the limits, or the bits are not of that size.
    """
    width, height, bits = (packed.get(name) for name in ("width", "height", "bits"))
    if type(width) is not int or type(height) is not int or not isinstance(bits, str):
        raise MaskError("the embedded mask is not one", hint="give the mask as a picture")
    sides = (min(width, height) >= 1, max(width, height) <= limits.image_side)
    if not all(sides) or width * height > limits.image_pixels or len(bits) > limits.image_bytes:
        raise MaskError(f"the embedded mask claims {width}x{height} pixels", hint="give the mask as a picture")
    stride = -(-width // 8)
    try:
        rows = inflate(base64.b64decode(bits, validate=True), stride * height)
    except (binascii.Error, ValueError):
        rows = None
    if rows is None or len(rows) != stride * height:
        raise MaskError("the embedded mask is broken", hint="give the mask as a picture")
    packed_rows = np.frombuffer(rows, np.uint8).reshape(height, stride)
    return np.unpackbits(packed_rows, axis=1, count=width).astype(bool)
