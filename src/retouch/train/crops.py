"""Which part of a picture is trained on, and in which shape: pure functions of sizes and a random generator."""

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Shape = tuple[int, int]
"""Height and width in pixels."""
Box = tuple[float, float, float, float]
"""Left, top, right and bottom in pixels of the picture."""
LONGEST = 2.0
"""Most that a shape is longer than wide."""
CLOSEST = 0.3
"""The least part of a picture's sides that a crop shows."""


def shapes(size: int, multiple: int) -> list[Shape]:
    """Shapes of at most `size` squared pixels whose sides divide by `multiple`; the square first.

    As in NovelAI's aspect ratio bucketing: for each long side the largest short one that keeps the area.
    """
    found = [(size, size)]
    for long in range(size + multiple, 2 * size + 1, multiple):
        short = size * size // long // multiple * multiple
        if short and long / short <= LONGEST:
            found += [(short, long), (long, short)]
    return found


def nearest_shape(picture: Shape, choices: list[Shape]) -> Shape:
    """The shape of the aspect ratio nearest to that of a picture."""
    ratio = math.log(picture[1] / picture[0])
    return min(choices, key=lambda shape: abs(math.log(shape[1] / shape[0]) - ratio))


def largest_box(picture: Shape, shape: Shape) -> Box:
    """The largest box of a shape's aspect ratio, in the middle of a picture."""
    scale = min(picture[0] / shape[0], picture[1] / shape[1])
    height, width = shape[0] * scale, shape[1] * scale
    left, top = (picture[1] - width) / 2, (picture[0] - height) / 2
    return left, top, left + width, top + height


def random_box(rng: np.random.Generator, picture: Shape, shape: Shape) -> Box:
    """A box of a shape's aspect ratio anywhere in a picture, down to `CLOSEST` of its sides, but no closer than
    the picture's own pixels: what is enlarged teaches blur."""
    scale = min(picture[0] / shape[0], picture[1] / shape[1])
    least = min(1.0, max(CLOSEST, 1.0 / scale))
    scale *= float(np.exp(rng.uniform(np.log(least), 0.0)))
    height, width = shape[0] * scale, shape[1] * scale
    # A box as wide or high as the picture may be larger by a rounding.
    room = max(0.0, picture[1] - width), max(0.0, picture[0] - height)
    left, top = float(rng.uniform(0.0, room[0])), float(rng.uniform(0.0, room[1]))
    return left, top, left + width, top + height


def cut_picture(pixels: NDArray[np.uint8], box: Box, shape: Shape) -> NDArray[np.uint8]:
    """The part of pixels (H, W, 3) in `box`, scaled to `shape`."""
    return np.asarray(_cut(Image.fromarray(pixels), box, shape, Image.Resampling.LANCZOS))


def cut_mask(mask: NDArray[np.bool_], box: Box, shape: Shape) -> NDArray[np.bool_]:
    """The same part of a mask (H, W): a pixel is repainted where half of what it stands for is.

    What is thinner than that everywhere stays as far as it goes.
    """
    soft = np.asarray(_cut(Image.fromarray(mask.astype(np.uint8) * 255), box, shape, Image.Resampling.BOX))
    return soft >= 128 if (soft >= 128).any() else soft > 0


def _cut(image: Image.Image, box: Box, shape: Shape, filter_: Image.Resampling) -> Image.Image:
    # Rounding must not take a box over the edge by a trillionth of a pixel.
    left, top = max(box[0], 0.0), max(box[1], 0.0)
    inside = left, top, min(box[2], float(image.width)), min(box[3], float(image.height))
    return image.resize((shape[1], shape[0]), filter_, box=inside)
