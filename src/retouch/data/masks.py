"""Seeded mask generators for training and evaluation: pure functions of a random generator.

All masks are (H, W) bool, True = repaint. Irregular masks follow LaMa's evaluation masks (Suvorov et al.,
"Resolution-robust Large Mask Inpainting", 2022): the settings of `configs/data_gen/random_*_512.yaml` and the
distributions of `saicinpainting/training/data/masks.py` in github.com/advimman/lama, scaled by the side.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

Mask = NDArray[np.bool_]
Rng = np.random.Generator
Box = tuple[int, int, int, int]
IrregularKind = Literal["thin", "medium", "thick"]


@dataclass(frozen=True, slots=True)
class Irregular:
    """Stroke and box settings in pixels of a 512 px picture; ranges are inclusive.

    `box_weight` is the odds of boxes against strokes (1); boxes keep `margin_px` from the picture's border.
    """

    strokes: tuple[int, int]
    width_px: int
    length_px: int
    box_weight: float = 0.0
    boxes: tuple[int, int] = (0, 0)
    box_px: tuple[int, int] = (0, 0)
    margin_px: int = 0


# OpenCV's lines, which LaMa's are, come out wider than asked for.
_OPENCV_PX = 1
# LaMa's generator draws one stroke more than its settings say (`cur_max_times`), and no box of the largest size.
IRREGULAR: dict[IrregularKind, Irregular] = {
    "thin": Irregular((4, 71), 20, 100),
    "medium": Irregular((4, 11), 100, 200, 0.3, (1, 5), (30, 149)),
    "thick": Irregular((1, 6), 250, 450, 0.3, (1, 4), (30, 299), 10),
}


class Brush:
    """A round brush over an empty mask of `size` (height, width): `line` paints into `mask`."""

    def __init__(self, size: tuple[int, int]) -> None:
        self.mask: Mask = np.zeros(size, dtype=np.bool_)

    def line(self, start: tuple[float, float], end: tuple[float, float], width_px: float) -> None:
        """Mark the pixels within half of `width_px` of the segment between two points (x, y)."""
        reach = max(width_px, 1.0) / 2
        (left, right), (top, bottom) = (
            (max(int(min(a, b) - reach), 0), max(int(max(a, b) + reach) + 2, 0))
            for a, b in zip(start, end, strict=True)
        )
        window = self.mask[top:bottom, left:right]
        x = np.arange(left, left + window.shape[1])[None, :] - start[0]
        y = np.arange(top, top + window.shape[0])[:, None] - start[1]
        dx, dy = end[0] - start[0], end[1] - start[1]
        along = np.clip((x * dx + y * dy) / max(dx * dx + dy * dy, 1e-9), 0, 1)
        window |= (x - along * dx) ** 2 + (y - along * dy) ** 2 <= reach * reach


def full(size: tuple[int, int]) -> Mask:
    """Everything is repainted; `size` is (height, width)."""
    return np.ones(size, dtype=np.bool_)


def box(size: tuple[int, int], bounds: Box) -> Mask:
    """A filled box (left, top, right, bottom), right and bottom exclusive, clipped."""
    mask = np.zeros(size, dtype=np.bool_)
    left, top, right, bottom = bounds
    mask[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)] = True
    return mask


def ellipse(size: tuple[int, int], bounds: Box) -> Mask:
    """The filled ellipse inscribed in a box (left, top, right, bottom)."""
    left, top, right, bottom = bounds
    y, x = np.ogrid[: size[0], : size[1]]
    rx, ry = max((right - left) / 2, 0.5), max((bottom - top) / 2, 0.5)
    cx, cy = (left + right - 1) / 2, (top + bottom - 1) / 2
    return np.asarray(((x - cx) / rx) ** 2 + ((y - cy) / ry) ** 2 <= 1)


def dilate(mask: Mask, radius_px: float) -> Mask:
    """Grow a mask by about `radius_px`, with round corners."""
    if radius_px <= 0:
        return mask
    soft = Image.fromarray(mask.astype(np.uint8) * 255).filter(ImageFilter.GaussianBlur(radius_px * 0.75))
    # A straight edge blurred by sigma falls to 9 % at 1.33 sigma = the radius.
    return np.asarray(soft) > 23


def shifted(mask: Mask, dy: int, dx: int) -> Mask:
    """Move a mask by whole pixels; what leaves the picture is lost."""
    height, width = mask.shape
    moved = np.zeros_like(mask)
    moved[max(dy, 0) : height + min(dy, 0), max(dx, 0) : width + min(dx, 0)] = mask[
        max(-dy, 0) : height + min(-dy, 0), max(-dx, 0) : width + min(-dx, 0)
    ]
    return moved


def random_box(
    rng: Rng,
    size: tuple[int, int],
    share: tuple[float, float] = (0.2, 0.7),
    width_share: tuple[float, float] | None = None,
) -> Mask:
    """A box whose sides are `share` of the picture's, anywhere inside it; `width_share` is for another width."""
    height, width = size
    h = max(1, round(height * rng.uniform(*share)))
    w = max(1, round(width * rng.uniform(*(width_share or share))))
    top, left = int(rng.integers(0, height - h + 1)), int(rng.integers(0, width - w + 1))
    return box(size, (left, top, left + w, top + h))


def random_ellipse(rng: Rng, size: tuple[int, int]) -> Mask:
    """An ellipse somewhere inside the picture."""
    rows, columns = np.nonzero(random_box(rng, size, (0.25, 0.75)))
    bounds = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
    return ellipse(size, (int(bounds[0]), int(bounds[1]), int(bounds[2]), int(bounds[3])))


def irregular(rng: Rng, size: tuple[int, int], kind: IrregularKind = "medium", *, max_area: float = 1.0) -> Mask:
    """Free-form strokes, or boxes now and then.

    Args:
        max_area: masks that cover more than this share are drawn again (LaMa's evaluation
            uses 0.5); after 20 attempts a box of at most that area stands in.
    """
    for _ in range(20):
        mask = _draw_irregular(rng, size, IRREGULAR[kind])
        if 0 < mask.mean() <= max_area:
            return mask
    side = min(0.3, float(np.sqrt(max_area)) * 0.9)
    return random_box(rng, size, (side * 0.5, side))


def _draw_irregular(rng: Rng, size: tuple[int, int], settings: Irregular) -> Mask:
    if rng.random() < settings.box_weight / (1 + settings.box_weight):
        return _boxes(rng, size, settings)
    brush = Brush(size)
    for number in range(int(rng.integers(settings.strokes[0], settings.strokes[1], endpoint=True))):
        _stroke(rng, brush, size, settings, mirrored=number % 2 == 0)
    return brush.mask


def _boxes(rng: Rng, size: tuple[int, int], settings: Irregular) -> Mask:
    scale = min(size) / 512
    margin = round(scale * settings.margin_px)
    mask = np.zeros(size, dtype=np.bool_)
    for _ in range(int(rng.integers(*settings.boxes, endpoint=True))):
        h, w = (max(1, round(scale * int(side))) for side in rng.integers(*settings.box_px, size=2, endpoint=True))
        top = int(rng.integers(margin, max(size[0] - margin - h, margin), endpoint=True))
        left = int(rng.integers(margin, max(size[1] - margin - w, margin), endpoint=True))
        mask[top : top + h, left : left + w] = True
    return mask


def _stroke(rng: Rng, brush: Brush, size: tuple[int, int], settings: Irregular, *, mirrored: bool) -> None:
    """Draw one to five joined segments, each in one of four directions; mirrored strokes turn the other way."""
    height, width = size
    scale = min(size) / 512
    x, y = float(rng.integers(width)), float(rng.integers(height))
    for _ in range(int(rng.integers(1, 6))):
        angle = (0.01 + int(rng.integers(4))) * (-1 if mirrored else 1)
        length = scale * (10 + int(rng.integers(settings.length_px)))
        end = (
            float(np.clip(x + length * np.sin(angle), 0, width)),
            float(np.clip(y + length * np.cos(angle), 0, height)),
        )
        brush.line((x, y), end, scale * (5 + int(rng.integers(settings.width_px)) + _OPENCV_PX))
        x, y = end


def bounding_box(mask: Mask) -> Box:
    """Return (left, top, right, bottom) of the True pixels.

    Raises:
        ValueError: there are none.
    """
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if rows.size == 0:
        raise ValueError("the mask is empty")
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def around_object(rng: Rng, alpha: NDArray[np.uint8], margin: float) -> Mask:
    """A mask that wholly holds an object: box, ellipse, its own shape dilated, or a blob.

    Args:
        alpha: (H, W) opacity of the object, 0..255.
        margin: room around the object as a share of its longer side.
    """
    shape = alpha > 8
    left, top, right, bottom = bounding_box(shape)
    pad = max(1.0, margin * max(right - left, bottom - top))
    kind = rng.choice(4, p=(0.42, 0.13, 0.27, 0.18))
    if kind == 0:
        sides = np.rint(pad * rng.uniform(0.5, 1.0, 4)).astype(int)
        return box(
            shape.shape,
            (left - int(sides[0]), top - int(sides[1]), right + int(sides[2]), bottom + int(sides[3])),
        )
    grown = dilate(shape, pad)
    if kind == 1:
        p = round(pad)
        return ellipse(shape.shape, (left - p, top - p, right + p, bottom + p)) | grown
    if kind == 2:
        return grown
    # A blob: the shape and a shifted copy, grown together, as a hand would paint over it.
    dy, dx = (int(step) for step in np.rint(rng.uniform(-pad, pad, 2)))
    return dilate(shape | shifted(shape, dy, dx), pad)


def loosely_around(rng: Rng, alpha: NDArray[np.uint8]) -> Mask:
    """A mask with an object in its middle and much more room than it needs: as if painted without looking.

    Half of them are long: the room is along one side.
    """
    shape = alpha > 8
    left, top, right, bottom = bounding_box(shape)
    x, y = (left + right) / 2, (top + bottom) / 2
    grow = rng.uniform(1.1, 1.6, 2)
    if rng.random() < 0.5:
        grow[int(rng.integers(2))] = rng.uniform(1.6, 3.0)
    half_w, half_h = (right - left) / 2 * grow[0], (bottom - top) / 2 * grow[1]
    bounds = (round(x - half_w), round(y - half_h), round(x + half_w), round(y + half_h))
    draw = rng.random()
    if draw < 0.5:
        return box(shape.shape, bounds)
    hole = ellipse(shape.shape, bounds) | dilate(shape, 2.0)
    if draw < 0.75:
        return hole
    # With the uneven edge of a hand that paints.
    dy, dx = (int(step) for step in np.rint(rng.uniform(-0.25, 0.25, 2) * (half_h, half_w)))
    return hole | shifted(hole, dy, dx)


def anywhere(rng: Rng, size: tuple[int, int]) -> Mask:
    """A mask as people draw them over ground: strokes, boxes, ellipses; small, long, large, at the border too."""
    kind = rng.choice(4, p=(0.45, 0.25, 0.15, 0.15))
    if kind == 0:
        return irregular(rng, size, "medium" if rng.random() < 0.6 else "thick")
    if kind == 1:
        return random_box(rng, size, (0.1, 0.75))
    if kind == 2:
        return random_ellipse(rng, size)
    long = (0.04, 0.15), (0.4, 1.0)  # a wire, a pole
    return random_box(rng, size, *(long if rng.random() < 0.5 else long[::-1]))
