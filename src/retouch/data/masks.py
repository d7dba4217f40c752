"""Seeded mask generators for training and evaluation: pure functions of a random generator.

All masks are (H, W) bool, True = repaint. Irregular masks follow LaMa's evaluation settings
(Suvorov et al., "Resolution-robust Large Mask Inpainting", 2022, published 512 px
configurations), scaled by the side.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

Mask = NDArray[np.bool_]
Rng = np.random.Generator
Box = tuple[int, int, int, int]
IrregularKind = Literal["thin", "medium", "thick"]


@dataclass(frozen=True, slots=True)
class Irregular:
    """Stroke and box settings in pixels of a 512 px picture; ranges are inclusive."""

    strokes: tuple[int, int]
    width_px: int
    length_px: int
    box_share: float
    boxes: tuple[int, int]
    box_px: tuple[int, int]


IRREGULAR: dict[IrregularKind, Irregular] = {
    "thin": Irregular((4, 70), 20, 100, 0.0, (0, 0), (0, 0)),
    "medium": Irregular((4, 10), 100, 200, 0.3, (1, 5), (30, 150)),
    "thick": Irregular((1, 5), 250, 450, 0.3, (1, 4), (30, 300)),
}


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


def random_box(rng: Rng, size: tuple[int, int], share: tuple[float, float] = (0.2, 0.7)) -> Mask:
    """A box whose sides are `share` of the picture's, anywhere inside it."""
    height, width = size
    h = max(1, round(height * rng.uniform(*share)))
    w = max(1, round(width * rng.uniform(*share)))
    top, left = int(rng.integers(0, height - h + 1)), int(rng.integers(0, width - w + 1))
    return box(size, (left, top, left + w, top + h))


def random_ellipse(rng: Rng, size: tuple[int, int]) -> Mask:
    """An ellipse somewhere inside the picture."""
    rows, columns = np.nonzero(random_box(rng, size, (0.25, 0.75)))
    bounds = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
    return ellipse(size, (int(bounds[0]), int(bounds[1]), int(bounds[2]), int(bounds[3])))


def irregular(rng: Rng, size: tuple[int, int], kind: IrregularKind = "medium") -> Mask:
    """Free-form strokes, with boxes now and then."""
    settings = IRREGULAR[kind]
    height, width = size
    scale = min(size) / 512
    canvas = Image.new("L", (width, height), 0)
    draw = ImageDraw.Draw(canvas)
    # As published: a coin settles boxes or strokes, so neither mask lacks its own character.
    if rng.random() < settings.box_share:
        for _ in range(int(rng.integers(settings.boxes[0], settings.boxes[1] + 1))):
            w, h = (max(1, round(scale * rng.integers(*settings.box_px))) for _ in range(2))
            x, y = int(rng.integers(0, max(width - w, 1))), int(rng.integers(0, max(height - h, 1)))
            draw.rectangle((x, y, x + w - 1, y + h - 1), fill=255)
    else:
        for _ in range(int(rng.integers(settings.strokes[0], settings.strokes[1] + 1))):
            _stroke(rng, draw, size, settings, scale)
    mask = np.asarray(canvas) > 0
    return mask if mask.any() else random_box(rng, size, (0.1, 0.3))


def _stroke(rng: Rng, draw: ImageDraw.ImageDraw, size: tuple[int, int], settings: Irregular, scale: float) -> None:
    height, width = size
    x, y = float(rng.integers(0, width)), float(rng.integers(0, height))
    for segment in range(int(rng.integers(1, 6))):
        # Every other segment turns back, which makes strokes scribble instead of spiral.
        angle = 0.01 + rng.uniform(0, 4) + (2 * np.pi / 2 if segment % 2 else 0)
        length = scale * rng.uniform(10, settings.length_px)
        thickness = max(1, round(scale * rng.uniform(5, max(settings.width_px, 6))))
        nx = float(np.clip(x + length * np.sin(angle), 0, width))
        ny = float(np.clip(y + length * np.cos(angle), 0, height))
        draw.line([(x, y), (nx, ny)], fill=255, width=thickness)
        r = thickness / 2
        draw.ellipse((nx - r, ny - r, nx + r, ny + r), fill=255)
        x, y = nx, ny


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
