"""3x3 convolutions by minimal filtering, band by band, so that what is between their passes stays in the cache."""

from collections.abc import Iterable, Iterator, Sequence
from functools import partial

import torch

from retouch.engine.layers.group_norm import ScaledSilu
from retouch.engine.layers.linear import linear
from retouch.engine.layers.scratch import Scratch
from retouch.engine.layers.winograd import PLAIN, UPSAMPLED, Filtering, Products, Tiles

_PART = 128
"""Outputs whose weights are transformed at a time where they are used once."""
_LONE_TILES = 256
"""Tiles of a call up to which it is one band, whose weights are transformed in parts: to write all of them to
memory and read them again would cost more than the tiles do."""


def can_convolve(height: int, width: int) -> bool:
    """Whether sides divide into the tiles of `conv3x3`."""
    return height % PLAIN.tile == 0 and width % PLAIN.tile == 0


def conv3x3(
    x: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    scratch: Scratch,
    *,
    before: ScaledSilu | None = None,
    onto: torch.Tensor | None = None,
    is_passing: bool = False,
) -> torch.Tensor:
    """Convolve 3x3 with stride 1 and zero padding 1.

    Args:
        x: (N, C, H, W), channels last; H and W divide by 4.
        weight: (O, C, 3, 3), best channels last.
        bias: (O,) or None.
        before: what becomes of x first.
        onto: (N, O, H, W), channels last, to which the result is added, in place; not x.
        is_passing: the result may lie in the scratch, where the next passing one takes its place.
    Returns:
        (N, O, H, W), channels last: `onto` where that is given.
    """
    count, _, height, width = x.shape
    if onto is None:
        shape = (count, height, width, len(weight))
        y = scratch.empty("passing", shape) if is_passing else x.new_empty(shape)
    else:
        y = onto.permute(0, 2, 3, 1)
    _run(PLAIN, x, weight, bias, scratch=scratch, y=y, before=before, adds=onto is not None)
    return y.permute(0, 3, 1, 2)


def upsampled_conv3x3(
    x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, scratch: Scratch
) -> torch.Tensor:
    """Double the sides by nearest neighbour, then convolve 3x3 with stride 1 and zero padding 1.

    Args:
        x: (N, C, H, W), channels last.
        weight: (O, C, 3, 3), best channels last.
        bias: (O,) or None.
    Returns:
        (N, O, 2 H, 2 W), channels last.
    """
    count, _, height, width = x.shape
    y = x.new_empty(count, 2 * height, 2 * width, len(weight))
    _run(UPSAMPLED, x, weight, bias, scratch=scratch, y=y)
    return y.permute(0, 3, 1, 2)


def _run(
    filtering: Filtering,
    x: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    *,
    scratch: Scratch,
    y: torch.Tensor,
    before: ScaledSilu | None = None,
    adds: bool = False,
) -> None:
    """Write the convolution into y (N, H, W, O), or add it there."""
    count, channels, height, width = x.shape
    if count * height * width <= _LONE_TILES * filtering.tile**2:
        bands, transformed = [(slice(0, count), 0, height)], None
    else:
        bands = list(_bands(filtering, count, height, width, max(channels, len(weight))))
        transformed = _transformed(filtering, weight, scratch)
    padded_bands = _padded(x.permute(0, 2, 3, 1), bands, before)
    for (images, top, bottom), padded in zip(bands, padded_bands, strict=True):
        rows = filtering.tiles_of(padded)
        products: Products
        if transformed is None:
            products = (partial(_ready, row) for row in _multiplied(filtering, rows, weight, scratch))
        else:
            products = (partial(_made, row, own) for row, own in zip(rows, transformed, strict=True))
        out = y[images, filtering.upsampling * top : filtering.upsampling * bottom]
        if adds:
            added = out.new_empty(out.shape)
            filtering.sum_up(products, bias, added)
            out.add_(added)
        else:
            filtering.sum_up(products, bias, out)


def _transformed(filtering: Filtering, weight: torch.Tensor, scratch: Scratch) -> torch.Tensor:
    """Return G g G^T as (rows, columns, O, C), from (O, C, 3, 3)."""
    side, (outputs, channels) = len(filtering.matrix), weight.shape[:2]
    taps = weight.permute(2, 3, 0, 1).reshape(9, -1)
    out = scratch.empty("weights", (side * side, outputs * channels))
    return torch.mm(filtering.square, taps, out=out).view(side, side, outputs, channels)


def _multiplied(filtering: Filtering, rows: Tiles, weight: torch.Tensor, scratch: Scratch) -> torch.Tensor:
    """Return all products of a lone band (rows, columns, T, O); each part of the weights is used at once."""
    tiles = torch.stack([tile.flatten(0, -2) for row in rows for tile in row])
    (positions, count, channels), outputs, side = tiles.shape, len(weight), len(filtering.matrix)
    taps, square = weight.permute(0, 2, 3, 1).reshape(outputs, 9, channels), filtering.square
    products = tiles.new_empty(positions, count, outputs)
    part = scratch.empty("weights", (min(outputs, _PART), positions, channels))
    for first in range(0, outputs, len(part)):
        own = part[: outputs - first]
        torch.matmul(square, taps[first : first + len(own)], out=own)
        torch.bmm(tiles, own.permute(1, 2, 0), out=products[:, :, first : first + len(own)])
    return products.view(side, side, count, outputs)


def _made(
    tiles: Sequence[torch.Tensor],
    weights: torch.Tensor,
    column: int,
    bias: torch.Tensor | None = None,
    added: torch.Tensor | None = None,
) -> torch.Tensor:
    """Multiply the tiles of one column, in one pass with what is added."""
    rows, weight = tiles[column].flatten(0, -2), weights[column]
    if added is None:
        return linear(rows, weight, bias)
    product: torch.Tensor = torch.ops.mkldnn._linear_pointwise.binary(rows, added, weight, bias, "add")
    return product


def _ready(
    products: torch.Tensor, column: int, bias: torch.Tensor | None = None, added: torch.Tensor | None = None
) -> torch.Tensor:
    """Take the product of one column, which nobody else takes, and add to it."""
    product = products[column]
    for one in (bias, added):
        if one is not None:
            product.add_(one)
    return product


def _bands(
    filtering: Filtering, count: int, height: int, width: int, channels: int
) -> Iterator[tuple[slice, int, int]]:
    """Cut into (images, top, bottom): parts of one image, or several whole ones where those are small."""
    step = filtering.tile * max(1, filtering.plane_floats // (width // filtering.tile * channels))
    if step >= height:
        # As many in each band: how many rows a product has must not depend on an image's place.
        together = max(n for n in range(1, max(1, step // height) + 1) if count % n == 0)
        for first in range(0, count, together):
            yield slice(first, first + together), 0, height
        return
    for image in range(count):
        for top in range(0, height, step):
            yield slice(image, image + 1), top, min(top + step, height)


def _padded(
    pixels: torch.Tensor, bands: Iterable[tuple[slice, int, int]], before: ScaledSilu | None
) -> Iterator[torch.Tensor]:
    """Yield rows top - 1 .. bottom of (N, H, W, C), and a column more on each side, zero outside the images.

    What becomes of the pixels first leaves those zeros alone. The next band takes the place of the one before.
    """
    height, width, channels = pixels.shape[1:]
    padded = pixels.new_empty(0)
    for images, top, bottom in bands:
        above, below = int(top > 0), int(bottom < height)
        source = pixels[images, top - above : bottom + below]
        shape = (len(source), bottom - top + 2, width + 2, channels)
        if padded.shape != shape:
            padded = pixels.new_zeros(shape)
        inside = padded[:, 1 - above : 1 + bottom - top + below, 1:-1]
        if before is None:
            inside.copy_(source)
        else:
            before.of(source, images, out=inside)
        if not above:
            padded[:, 0].zero_()
        if not below:
            padded[:, -1].zero_()
        yield padded
