"""Square crops of a folder of pictures, with LaMa's masks: the cases of the card's protocol."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from retouch.data.masks import IrregularKind, irregular
from retouch.errors import BadInput
from retouch.evaluate.cases import Case
from retouch.imaging.decode import decode_picture

U8 = NDArray[np.uint8]

PROMPT = "photograph of a beautiful empty scene, highest quality settings"
KINDS: tuple[IrregularKind, ...] = ("thin", "medium", "thick")
MAX_MASK_AREA = 0.5
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


def square_crop(pixels: U8, side: int, rng: np.random.Generator) -> U8:
    """Scale the shorter side to `side` and cut a random square out of the longer one."""
    height, width = pixels.shape[:2]
    scale = side / min(height, width)
    size = (max(side, round(width * scale)), max(side, round(height * scale)))
    scaled = np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC))
    top, left = (int(rng.integers(0, extent - side + 1)) for extent in scaled.shape[:2])
    return scaled[top : top + side, left : left + side]


def card_cases(paths: list[Path], kind: IrregularKind, *, side: int = 512, seed: int = 0) -> Iterator[Case]:
    """Yield one case for every picture; a picture's crop is the same for every kind of mask.

    Args:
        paths: picture files.
        kind: `thin`, `medium` or `thick`; masks cover at most half of the crop.
        side: of the crops, in pixels.
        seed: of crops, masks and the painter's noise.
    """
    for number, path in enumerate(paths):
        truth = square_crop(_rgb(path), side, np.random.default_rng([seed, number]))
        rng = np.random.default_rng([seed, number, KINDS.index(kind)])
        mask = irregular(rng, (side, side), kind, max_area=MAX_MASK_AREA)
        noise_seed = (seed * 100_003 + number) % 2**32
        yield Case(number, PROMPT, truth, mask, noise_seed, group="background")


def _rgb(path: Path) -> U8:
    """Decode a file to (H, W, 3) bytes; deeper pictures are rounded."""
    unit = decode_picture(path).to_unit()
    return np.asarray(np.rint(unit * 255), dtype=np.uint8)
