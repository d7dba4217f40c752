"""Our metadata inside an EXIF block, for the formats that have no text chunks.

`UserComment` holds the A1111 text, as its readers expect; a private tag holds our JSON. Source: Exif 2.32,
section 4.6.5 (UserComment begins with eight bytes that name its character code); TIFF 6.0 on private tags.
"""

from PIL import Image

from retouch.errors import ImageError
from retouch.foreign import foreign_as
from retouch.imaging.tiff_header import RECORD_TAG

EXIF_IFD, USER_COMMENT = 0x8769, 0x9286
_UNICODE = b"UNICODE\0"
_PREFIX = b"Exif\0\0"
MAX_TEXT_BYTES = 4 * 2**20


def exif_with(block: bytes | None, *, parameters: str, record: bytes) -> bytes:
    """Return an EXIF block, without prefix, of what `block` held plus our two texts; `block` itself without them.

    Raises:
        ImageError: `block` is broken, so that what it held cannot be written again.
    """
    if not parameters and not record:
        return block or b""
    exif = _load(block)
    if parameters:
        # Big-endian whatever the block's own order: what A1111's reader takes it for.
        exif.get_ifd(EXIF_IFD)[USER_COMMENT] = _UNICODE + parameters.encode("utf-16-be", "replace")
    if record:
        exif[RECORD_TAG] = record
    with foreign_as(_broken()):
        return exif.tobytes().removeprefix(_PREFIX)


def read_exif(block: bytes) -> tuple[str, bytes]:
    """Return the A1111 text and our JSON, each empty where it is missing, broken or too large."""
    if len(block) > 2 * MAX_TEXT_BYTES:
        return "", b""
    try:
        with foreign_as(_broken()):
            exif = _load(block)
            comment = exif.get_ifd(EXIF_IFD).get(USER_COMMENT, b"")
            record = exif.get(RECORD_TAG, b"")
    except ImageError:
        return "", b""
    return comment_text(comment), record if isinstance(record, bytes) else b""


def _load(block: bytes | None) -> Image.Exif:
    exif = Image.Exif()
    if block:
        with foreign_as(_broken()):
            exif.load(_PREFIX + block)
            exif.get_ifd(EXIF_IFD)
    return exif


def _broken() -> ImageError:
    return ImageError("the EXIF block is broken", hint="save the picture without it")


def comment_text(comment: object) -> str:
    """Return the text of a `UserComment`, whatever its character code and byte order."""
    if not isinstance(comment, bytes):
        return ""
    if not comment.startswith(_UNICODE):
        return comment[8:].rstrip(b"\0").decode("utf-8", "replace")
    content = comment[len(_UNICODE) :]
    # Some writers use little-endian: then nearly every second byte, the first included, is not zero.
    order = "utf-16-be" if content[::2].count(0) >= content[1::2].count(0) else "utf-16-le"
    return content.decode(order, "replace").rstrip("\0")
