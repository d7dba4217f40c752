"""Square crops of a folder of pictures, with LaMa's masks: the cases of the card's protocol."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from retouch.data.masks import IrregularKind, Mask, bounding_box, irregular
from retouch.errors import BadInput
from retouch.evaluate.cases import Case
from retouch.imaging.decode import decode_picture

U8 = NDArray[np.uint8]

PROMPT = "photograph of a beautiful empty scene, highest quality settings"
KINDS: tuple[IrregularKind, ...] = ("thin", "medium", "thick")
MAX_MASK_AREA = 0.5
_ATTEMPTS = 20
SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".avif", ".bmp", ".tif", ".tiff"})


def pictures_in(folder: Path, limit: int | None = None) -> list[Path]:
    """Return the picture files of a folder and its subfolders, by name.

    Raises:
        BadInput: there are none.
    """
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    if not found:
        raise BadInput(f"{folder} holds no pictures", hint=f"wanted: {', '.join(sorted(SUFFIXES))}")
    return found[:limit]


def fitted(pixels: U8, side: int) -> U8:
    """Scale a picture so that its shorter side is `side`."""
    height, width = pixels.shape[:2]
    scale = side / min(height, width)
    size = (max(side, round(width * scale)), max(side, round(height * scale)))
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC))


def masked_crop(pixels: U8, kind: IrregularKind, rng: np.random.Generator) -> tuple[U8, Mask]:
    """Mask a picture, then cut a square of its shorter side that shows as much of the mask as it can.

    So does LaMa (`bin/gen_mask_dataset.py` with `crop_min_overlap: 1`, and `propose_random_square_crop`); crops of
    which more than `MAX_MASK_AREA` is masked are drawn again.

    Returns:
        (side, side, 3) and (side, side), True = repaint.
    """
    side = min(pixels.shape[:2])
    for _ in range(_ATTEMPTS):
        mask = irregular(rng, pixels.shape[:2], kind)
        right, bottom = bounding_box(mask)[2:]
        y, x = _start(rng, side, mask.shape[0], bottom), _start(rng, side, mask.shape[1], right)
        window = mask[y : y + side, x : x + side]
        if 0 < window.mean() <= MAX_MASK_AREA:
            return pixels[y : y + side, x : x + side], window
    return pixels[:side, :side], irregular(rng, (side, side), kind, max_area=MAX_MASK_AREA)


def _start(rng: np.random.Generator, side: int, extent: int, end: int) -> int:
    """Where a window of `side` begins: between the one that ends with the mask and the one that begins there."""
    free = extent - side
    return int(rng.integers(min(max(end - side, 0), free), min(end, free), endpoint=True))


def card_cases(paths: list[Path], kind: IrregularKind, *, side: int = 512, seed: int = 0) -> Iterator[Case]:
    """Yield one case for every picture.

    Args:
        paths: picture files.
        kind: `thin`, `medium` or `thick`; masks cover at most half of the crop.
        side: of the crops, in pixels.
        seed: of crops, masks and the painter's noise.
    """
    for number, path in enumerate(paths):
        rng = np.random.default_rng([seed, number, KINDS.index(kind)])
        truth, mask = masked_crop(fitted(_rgb(path), side), kind, rng)
        noise_seed = (seed * 100_003 + number) % 2**32
        yield Case(number, PROMPT, truth, mask, noise_seed, group="background")


def _rgb(path: Path) -> U8:
    """Decode a file to (H, W, 3) bytes; deeper pictures are rounded."""
    unit = decode_picture(path).to_unit()
    return np.asarray(np.rint(unit * 255), dtype=np.uint8)
