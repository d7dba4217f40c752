"""A picture that came as text: base64 in the spellings that clients use. Such a text is never a path.

Whether the bytes are a picture is for `imaging.decode` to find out; here they only become bytes, within a limit
that is checked before anything is decoded.
"""

import base64
import binascii
import re

from retouch.errors import ImageFormatError, ImageTooLarge, InvalidField
from retouch.imaging.limits import DecodeLimits

MAX_DATA_PREFIX = 128

_DATA = re.compile(r"data:(?P<type>[^,;]*)(?P<parameters>(?:;[^,;]*)*),", re.IGNORECASE)
_URL = re.compile(r"\s{0,8}[a-z][a-z0-9+.-]{0,31}://", re.IGNORECASE)
_PICTURE_TYPES = re.compile(r"(?:image/(?!svg)[a-z0-9.*+-]+|application/octet-stream)?", re.IGNORECASE)
_SPACE = b" \t\r\n"
_URL_SAFE = bytes.maketrans(b"-_", b"+/")


def is_url(text: str) -> bool:
    """Tell whether a text names a place to fetch from, of whatever scheme."""
    return _URL.match(text[:64]) is not None


def picture_bytes(text: str, *, field: str, limits: DecodeLimits) -> bytes:
    """Decode a picture's base64: with or without line breaks, padding, a `data:` prefix, in either alphabet.

    Args:
        text: what the client sent.
        field: the name to use in errors.
        limits: `image_bytes` is the one that counts here.

    Raises:
        InvalidField: it is no base64; an address or a path is none.
        ImageTooLarge: it would be over the limit.
        ImageFormatError: its `data:` prefix says that it is no picture.
    """
    if is_url(text):
        raise InvalidField(
            field, "is an address, and none is fetched here", hint="send the picture itself in base64"
        )
    # Line breaks make a text longer, but not twice as long: past that, it is not worth a copy.
    if len(text) > 2 * ((limits.image_bytes + 2) // 3 * 4) + MAX_DATA_PREFIX:
        raise _too_large(field, limits)
    try:
        encoded = text[_payload_start(text, field) :].encode("ascii").translate(None, _SPACE)
    except UnicodeEncodeError as error:
        raise _not_base64(field) from error
    encoded = encoded.removesuffix(b"=").removesuffix(b"=")
    if b"+" not in encoded and b"/" not in encoded:
        encoded = encoded.translate(_URL_SAFE)
    try:
        data = binascii.a2b_base64(encoded + b"=" * (-len(encoded) % 4), strict_mode=True)
    except binascii.Error as error:
        raise _not_base64(field) from error
    if not data:
        raise InvalidField(field, "is empty", hint="send the picture in base64")
    if len(data) > limits.image_bytes:
        raise _too_large(field, limits)
    return data


def picture_text(data: bytes) -> str:
    """Encode a picture as one line of standard base64."""
    return base64.b64encode(data).decode("ascii")


def _payload_start(text: str, field: str) -> int:
    start = len(text) - len(text.lstrip()) if text[:1].isspace() else 0
    if text[start : start + 5].lower() != "data:":
        return start
    prefix = _DATA.match(text, start, start + MAX_DATA_PREFIX)
    if prefix is None:
        raise InvalidField(field, "begins as a data: URL, but is none", hint="write data:image/png;base64,...")
    if not _PICTURE_TYPES.fullmatch(prefix["type"].strip()):
        raise ImageFormatError(f"{field}: a data: URL of another type than a picture's")
    if "base64" not in prefix["parameters"].lower().replace(" ", "").split(";"):
        raise InvalidField(field, "is a data: URL that is not in base64", hint="write data:image/png;base64,...")
    return prefix.end()


def _not_base64(field: str) -> InvalidField:
    return InvalidField(field, "is not base64", hint="send the picture's bytes in base64, or as a file of a form")


def _too_large(field: str, limits: DecodeLimits) -> ImageTooLarge:
    return ImageTooLarge(f"{field}: the picture is over {limits.image_bytes} bytes", hint="send a smaller picture")
