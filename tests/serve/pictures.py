"""Pictures as clients send them, and what must be true of those that come back."""

import base64
import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def photo(width: int = 40, height: int = 32, *, seed: int = 0) -> NDArray[np.uint8]:
    """Return noise (H, W, 3): any changed pixel shows."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def hole(width: int = 40, height: int = 32) -> NDArray[np.bool_]:
    """Return a mask (H, W), True = repaint: a box off the middle."""
    mask = np.zeros((height, width), bool)
    mask[height // 4 : height // 2, width // 4 : width // 2 + 3] = True
    return mask


def png(pixels: NDArray[np.uint8] | NDArray[np.bool_], *, alpha: NDArray[np.bool_] | None = None) -> bytes:
    """Encode pixels; `alpha` marks what is opaque."""
    if pixels.dtype == bool:
        pixels = pixels.astype(np.uint8) * 255
    if alpha is not None:
        pixels = np.dstack((pixels, alpha.astype(np.uint8) * 255))
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def text(data: bytes) -> str:
    """Encode bytes as clients do: base64 in one line."""
    return base64.b64encode(data).decode()


def pixels_of(data: bytes | str) -> NDArray[np.uint8]:
    """Decode a picture, from base64 too."""
    if isinstance(data, str):
        data = base64.b64decode(data)
    return np.asarray(Image.open(io.BytesIO(data)))


def assert_only_the_hole_changed(answer: bytes | str, image: NDArray[np.uint8], mask: NDArray[np.bool_]) -> None:
    """Compare an answer with what was sent: kept pixels identical, the hole repainted."""
    found = pixels_of(answer)
    assert found.shape[:2] == image.shape[:2]
    assert np.array_equal(found[..., :3][~mask], image[~mask]), "kept pixels changed"
    assert not np.array_equal(found[..., :3][mask], image[mask]), "the hole was not repainted"
