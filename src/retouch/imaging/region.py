"""The region of a picture that the model sees, and the way back: crop, scale, pad; unpad, scale, place."""

import math
from dataclasses import dataclass
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from retouch.errors import MaskEmpty
from retouch.imaging.choices import RegionMode
from retouch.imaging.morphology import Box, Mask, bounding_box, crop, widen
from retouch.imaging.resample import Pixels, cover_resize, mirrored, resize

_Scalar = TypeVar("_Scalar", bound=np.generic)

MAX_AREAS = 4
"""The largest canvas, in areas of the model's native size squared."""
UNSCALED_AREA = 1 << 22
"""The largest canvas, in pixels, where no model is asked."""
_MIN_CONTEXT_PX, _CONTEXT_SHARE, _MAX_ZOOM = 32, 0.375, 4
_MAX_FRAMED_ZOOM = 16
"""A model that learnt holes of one size paints things of that size: in a smaller hole, a slice of one."""
_SMALL_SHARE = 0.25
_LONGEST_SHARE = 1.25
"""How far the area of a canvas may exceed what was wanted, because its sides are multiples."""


@dataclass(frozen=True, slots=True)
class Region:
    """A box of the picture and the canvas it becomes.

    Attributes:
        mode: `whole` or `masked`: what was done, never `auto`.
        picture_size: height, width of the picture.
        box: left, top, right, bottom of the source box; right and bottom are outside.
        scaled: height, width of the box after scaling, before padding.
        canvas: height, width of what the model sees.
        offset: rows and columns of padding above and left of the scaled box; more lies below and to the right.
    """

    mode: Literal["whole", "masked"]
    picture_size: tuple[int, int]
    box: Box
    scaled: tuple[int, int]
    canvas: tuple[int, int]
    offset: tuple[int, int] = (0, 0)

    @property
    def box_size(self) -> tuple[int, int]:
        """Height, width of the source box."""
        left, top, right, bottom = self.box
        return bottom - top, right - left

    def scale(self, pixels: Pixels) -> Pixels:
        """Return the canvas (h, w, C) of what lies in the source box, (H, W, C) of `box_size`."""
        assert pixels.shape[:2] == self.box_size
        return self._pad(resize(pixels, *self.scaled))

    def apply_mask(self, mask: Mask) -> Mask:
        """Return the canvas (h, w) of a mask (H, W): each pixel that touches a marked one is marked.

        The padding is marked like what it mirrors, so that the model does not see there what the mask hides.
        """
        assert mask.shape == self.picture_size
        return self._pad(cover_resize(crop(mask, self.box), *self.scaled))

    def undo(self, pixels: Pixels, part: Box | None = None) -> Pixels:
        """Return a canvas (h, w, 3) as it lies in the source box, or in a part of it.

        `undo(scale(x))` is x, bit for bit where the region is not scaled.

        Args:
            part: a box of the picture inside the source box; None is the source box. Only that is computed.
        Returns:
            (H, W, 3), of the part's size.
        """
        assert pixels.shape[:2] == self.canvas
        (row, column), (height, width) = self.offset, self.scaled
        left, top, right, bottom = self.box if part is None else part
        x, y = self.box[:2]
        shown = pixels[row : row + height, column : column + width]
        return resize(shown, *self.box_size, (left - x, top - y, right - x, bottom - y))

    def to_dict(self) -> dict[str, object]:
        """Return plain values for JSON."""
        return {
            "mode": self.mode,
            "picture_size": list(self.picture_size),
            "box": list(self.box),
            "scaled": list(self.scaled),
            "canvas": list(self.canvas),
            "offset": list(self.offset),
        }

    def _pad(self, array: NDArray[_Scalar]) -> NDArray[_Scalar]:
        if array.shape[:2] == self.canvas:
            return np.ascontiguousarray(array)
        rows, columns = (
            mirrored(size, wanted, before=before)
            for size, wanted, before in zip(self.scaled, self.canvas, self.offset, strict=True)
        )
        return array[rows[:, None], columns[None, :]]


def plan_region(
    mask: Mask,
    *,
    mode: RegionMode = "auto",
    native_size: int,
    size_multiple: int,
    padding_px: int | None = None,
    context: float | None = None,
    bucket: int = 1,
) -> Region:
    """Choose what the model sees of a picture.

    `whole` is the picture at its own size up to four native areas, else scaled down to that; `masked` a crop
    around the mask, scaled to the native area; `auto` the crop where the picture is over that limit, where the
    mask with its context is small in it, or where the picture is smaller than half the native area, so that
    small pictures are generated at a size the model knows.

    For a model that wants `context` the mask's box lies in the middle of a square, with that much around it on
    all sides, at one scale: where the picture ends before, the square is padded. Where the box is the whole
    picture there is no context to show, and so is the crop.

    Args:
        mask: (H, W), True = repaint, of the picture's size.
        native_size: side of the square pictures that the model was trained on, in pixels.
        size_multiple: sides of the canvas are multiples of it.
        padding_px: context around the mask in a crop; None takes it from the mask's size.
        context: what the model wants around a mask, as a share of its longer side; `auto` is a crop then. None for
            models that take holes anywhere and of any size.
        bucket: sides of the canvas are multiples of it, too, so that different pictures can share a call.

    Raises:
        MaskEmpty: no pixel is marked, and a crop was asked for.
    """
    height, width = mask.shape
    grid = _Grid(native_size, math.lcm(size_multiple, max(1, bucket)))
    if mode == "whole":
        return _whole(height, width, grid)
    marked = bounding_box(mask)
    if marked is None:
        raise MaskEmpty("the mask marks no pixel for repainting", hint="check its polarity")
    if context is not None and marked != (0, 0, width, height):
        return _framed(marked, mask.shape, _framed_side(marked, mask.shape, padding_px, context, grid), grid)
    box = _context_box(marked, height, width, padding_px, native_size)
    if mode == "auto" and context is None and not _prefers_crop(box, height, width, native_size):
        return _whole(height, width, grid)
    crop_height, crop_width = box[3] - box[1], box[2] - box[0]
    canvas = grid.canvas_of_area(crop_height, crop_width, native_size**2)
    return Region("masked", (height, width), box, _fit(crop_height, crop_width, canvas), canvas)


def unscaled_region(mask: Mask, *, mode: RegionMode = "auto", padding_px: int | None = None) -> Region:
    """Return the region for what fills a hole out of its surroundings: nothing is scaled up to `UNSCALED_AREA`.

    Args:
        mask: (H, W), True = repaint; some pixel is marked.
        mode: `whole` is the whole picture; else the marked box and its own longer side on all sides of it.
        padding_px: context in place of that; not below `_MIN_CONTEXT_PX`, or there would be nothing to go on from.
    """
    height, width = mask.shape
    marked = bounding_box(mask)
    assert marked is not None
    box = (0, 0, width, height)
    if mode != "whole":
        long = max(marked[2] - marked[0], marked[3] - marked[1])
        box = widen(marked, max(_MIN_CONTEXT_PX, long if padding_px is None else padding_px), height, width)
    tall, wide = box[3] - box[1], box[2] - box[0]
    scale = min(1.0, math.sqrt(UNSCALED_AREA / (tall * wide)))
    # What is one pixel high can only become narrower.
    rows = min(max(1, int(tall * scale)), UNSCALED_AREA)
    canvas = (rows, min(max(1, int(wide * scale)), UNSCALED_AREA // rows))
    return Region("whole" if mode == "whole" else "masked", (height, width), box, canvas, canvas)


def reference_region(height: int, width: int, *, size_multiple: int) -> Region:
    """Return the region of the reference mode: the whole picture, unscaled, padded only to the size multiple."""
    canvas = (_ceil(height, size_multiple), _ceil(width, size_multiple))
    return Region("whole", (height, width), (0, 0, width, height), (height, width), canvas)


@dataclass(frozen=True, slots=True)
class _Grid:
    """The sizes that a canvas may have.

    Attributes:
        native: the model's native side.
        step: all sides are multiples of it.
    """

    native: int
    step: int

    @property
    def max_area(self) -> int:
        return max(MAX_AREAS * self.native**2, self.step**2)

    def canvas_of_area(self, height: int, width: int, area: int) -> tuple[int, int]:
        """Return the canvas of about `area` whose aspect is nearest to that of height and width."""
        scale = math.sqrt(area / (height * width))
        # The shorter side first: where it cannot shrink below one step, the longer one must give way.
        short = max(self.step, round(min(height, width) * scale / self.step) * self.step)
        longest = max(self.step, int(area * _LONGEST_SHARE) // short // self.step * self.step)
        long = max(self.step, round(max(height, width) * scale / self.step) * self.step)
        long = min(long, longest)
        return (short, long) if height <= width else (long, short)


def _whole(height: int, width: int, grid: _Grid) -> Region:
    canvas = (_ceil(height, grid.step), _ceil(width, grid.step))
    scaled = (height, width)
    if height * width > grid.max_area or canvas[0] * canvas[1] > 2 * grid.max_area:
        canvas = grid.canvas_of_area(height, width, grid.max_area)
        scaled = _fit(height, width, canvas)
    return Region("whole", (height, width), (0, 0, width, height), scaled, canvas)


def _framed_side(marked: Box, size: tuple[int, int], padding_px: int | None, context: float, grid: _Grid) -> int:
    """Return the side of the square around a box; a caller's padding goes no further than the picture does."""
    left, top, right, bottom = marked
    long = max(right - left, bottom - top)
    if padding_px is None:
        return max(long + 2 * round(context * long), grid.native // _MAX_FRAMED_ZOOM)
    height, width = size
    reach = max(left + right, 2 * width - left - right, top + bottom, 2 * height - top - bottom)
    return max(long, min(long + 2 * padding_px, reach))


def _framed(marked: Box, size: tuple[int, int], side: int, grid: _Grid) -> Region:
    """Return the region with the marked box in the middle of a square, padded where the picture ends."""
    height, width = size
    left, top = (marked[0] + marked[2] - side) // 2, (marked[1] + marked[3] - side) // 2
    box = (max(0, left), max(0, top), min(width, left + side), min(height, top + side))
    canvas = grid.canvas_of_area(side, side, grid.native**2)
    scale = canvas[0] / side
    row, rows = _span(box[1] - top, box[3] - top, scale)
    column, columns = _span(box[0] - left, box[2] - left, scale)
    return Region("masked", (height, width), box, (rows, columns), canvas, (row, column))


def _span(start: int, end: int, scale: float) -> tuple[int, int]:
    """Return start and length of a scaled interval; at least one pixel long."""
    first = round(start * scale)
    return first, max(1, round(end * scale) - first)


def _prefers_crop(box: Box, height: int, width: int, native_size: int) -> bool:
    area = height * width
    crop_area = (box[2] - box[0]) * (box[3] - box[1])
    return area > MAX_AREAS * native_size**2 or crop_area <= _SMALL_SHARE * area or area < native_size**2 / 2


def _context_box(marked: Box, height: int, width: int, padding_px: int | None, native_size: int) -> Box:
    """Return the marked box with context, grown towards a square as far as the picture allows.

    Without a padding of the caller's, the crop is at least a quarter of the native size: a larger zoom would
    show the model a few blurred pixels.
    """
    long = max(marked[2] - marked[0], marked[3] - marked[1])
    smallest = 1
    if padding_px is None:
        padding_px = max(_MIN_CONTEXT_PX, round(_CONTEXT_SHARE * long))
        smallest = native_size // _MAX_ZOOM
    left, top, right, bottom = widen(marked, padding_px, height, width)
    side = max(right - left, bottom - top, smallest)
    left, right = _stretch(left, right, side, width)
    top, bottom = _stretch(top, bottom, side, height)
    return left, top, right, bottom


def _stretch(start: int, end: int, wanted: int, limit: int) -> tuple[int, int]:
    """Widen an interval to `wanted` around its middle, shifted where it would leave 0..limit."""
    wanted = min(max(wanted, end - start), limit)
    start = max(0, min(start - (wanted - (end - start)) // 2, limit - wanted))
    return start, start + wanted


def _fit(height: int, width: int, canvas: tuple[int, int]) -> tuple[int, int]:
    """Return the largest size of the same aspect that fits into the canvas; at least one pixel a side."""
    scale = min(canvas[0] / height, canvas[1] / width)
    return (
        min(canvas[0], max(1, round(height * scale))),
        min(canvas[1], max(1, round(width * scale))),
    )


def _ceil(size: int, step: int) -> int:
    return -(-size // step) * step
