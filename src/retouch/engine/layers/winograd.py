"""3x3 convolutions by Winograd's minimal filtering: the same numbers from fewer multiplications.

F(4x4, 3x3) of Lavin & Gray 2015 (arXiv:1509.09308): a tile of 4x4 outputs comes from a tile d of 6x6 inputs by
Y = A^T [(G g G^T) * (B^T d B)] A, which takes 36 multiplications instead of 144; summed over channels, the
products are 36 matrix multiplications. oneDNN runs 3x3 convolutions directly on x86, so this is faster wherever
channels are many.

The matrices follow from the points at which the polynomials are evaluated: 0, +-a, +-b and infinity. With the
paper's a = 1, b = 2 rounding errors are ten times those of the direct sum, with a^2 = 1/2, b^2 = 2 twice (on the
choice of points: Barabasz et al. 2020, arXiv:1803.10986).

After a nearest-neighbour upsampling by 2, F(2x2, 3x3) is enough: the inputs of its tile are x[i-1], x[i], x[i],
x[i+1], of the four transformed rows one is zero, and 9 multiplications remain of 36.
"""

from collections.abc import Iterator

import torch
import torch.nn.functional as F

from retouch.engine.layers.group_norm import ScaledSilu
from retouch.engine.layers.linear import linear

_A2, _B2 = 0.5, 2.0
_A, _B = _A2**0.5, _B2**0.5
_NA, _NB = 2 * _A2 * (_A2 - _B2), 2 * _B2 * (_B2 - _A2)
"""Products of a point's differences from all other finite points."""
_G = (
    (1.0, 0.0, 0.0),
    (1 / _NA, _A / _NA, _A2 / _NA),
    (1 / _NA, -_A / _NA, _A2 / _NA),
    (1 / _NB, _B / _NB, _B2 / _NB),
    (1 / _NB, -_B / _NB, _B2 / _NB),
    (0.0, 0.0, 1.0),
)
_ONES = (0.0, (1 + 1 / _A) / 3, (1 - 1 / _A) / 3, (1 + 1 / _B) / 6, (1 - 1 / _B) / 6, 0.0)
"""What A^T takes to four ones: a bias among the products that comes out once in each output."""
_G_UPSAMPLED = ((1.0, 0.0, 0.0), (1.0, 1.0, 1.0), (0.0, 0.0, 1.0))
"""The three rows of F(2x2, 3x3) that remain after an upsampling; the middle one counts double there."""
_TILE = 4
_PLANE_FLOATS = 2**17
"""Floats of one of a band's planes: the twenty or so that are alive at once should stay in the last cache."""
_UPSAMPLED_PLANE_FLOATS = 2**19


def transform_weight(weight: torch.Tensor) -> torch.Tensor:
    """Return G g G^T as (6, 6, O, C), from (O, C, 3, 3)."""
    return _both_sides(_G, weight)


def transform_weight_upsampled(weight: torch.Tensor) -> torch.Tensor:
    """Return the (3, 3, O, C) that `upsampled_conv3x3` takes, from (O, C, 3, 3)."""
    return _both_sides(_G_UPSAMPLED, weight)


def _both_sides(matrix: tuple[tuple[float, ...], ...], weight: torch.Tensor) -> torch.Tensor:
    # As one product with the Kronecker square: the weights are read once.
    g = torch.tensor(matrix, dtype=torch.float64)
    square = torch.kron(g, g).to(weight)
    flat = square @ weight.permute(2, 3, 0, 1).reshape(9, -1)
    return flat.view(len(matrix), len(matrix), *weight.shape[:2])


def can_convolve(height: int, width: int) -> bool:
    """Whether sides divide into the tiles of `conv3x3`."""
    return height % _TILE == 0 and width % _TILE == 0


def conv3x3(
    x: torch.Tensor, weights: torch.Tensor, bias: torch.Tensor | None, *, before: ScaledSilu | None = None
) -> torch.Tensor:
    """Convolve 3x3 with stride 1 and zero padding 1.

    Args:
        x: (N, C, H, W), channels last; H and W divide by 4.
        weights: (6, 6, O, C) from `transform_weight`.
        bias: (O,) or None.
        before: what becomes of x first.
    Returns:
        (N, O, H, W), channels last.
    """
    count, channels, height, width = x.shape
    outputs = weights.shape[2]
    y = x.new_empty(count, height, width, outputs)
    pixels = x.permute(0, 2, 3, 1)
    tile_rows = _rows_per_band(width // _TILE, max(channels, outputs), _PLANE_FLOATS)
    for image, top, bottom in _bands(count, height, _TILE * tile_rows):
        padded = _padded_band(pixels, image, top, bottom, before)
        _convolve_band(padded, weights, bias, y[image, top:bottom])
    return y.permute(0, 3, 1, 2)


def upsampled_conv3x3(x: torch.Tensor, weights: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    """Double the sides by nearest neighbour, then convolve 3x3 with stride 1 and zero padding 1.

    Args:
        x: (N, C, H, W), channels last.
        weights: (3, 3, O, C) from `transform_weight_upsampled`.
        bias: (O,) or None.
    Returns:
        (N, O, 2 H, 2 W), channels last.
    """
    count, channels, height, width = x.shape
    outputs = weights.shape[2]
    y = x.new_empty(count, 2 * height, 2 * width, outputs)
    pixels = x.permute(0, 2, 3, 1)
    for image, top, bottom in _bands(
        count, height, _rows_per_band(width, max(channels, outputs), _UPSAMPLED_PLANE_FLOATS)
    ):
        padded = _padded_band(pixels, image, top, bottom)
        _convolve_upsampled_band(padded, weights, bias, y[image, 2 * top : 2 * bottom])
    return y.permute(0, 3, 1, 2)


def _rows_per_band(tiles_across: int, channels: int, plane_floats: int) -> int:
    return max(1, plane_floats // (tiles_across * channels))


def _bands(count: int, height: int, step: int) -> Iterator[tuple[slice, int, int]]:
    """Cut into (images, top, bottom): parts of one image, or several whole ones where those are small."""
    if step >= height:
        together = max(1, step // height)
        for first in range(0, count, together):
            yield slice(first, first + together), 0, height
        return
    for image in range(count):
        for top in range(0, height, step):
            yield slice(image, image + 1), top, min(top + step, height)


def _padded_band(
    pixels: torch.Tensor, image: slice, top: int, bottom: int, before: ScaledSilu | None = None
) -> torch.Tensor:
    """Return rows top - 1 .. bottom of (N, H, W, C), and a column more on each side, zero outside the images.

    What becomes of the pixels first leaves those zeros alone.
    """
    inside = pixels[image, max(top - 1, 0) : bottom + 1]
    if before is not None:
        inside = before.of(inside, image)
    return F.pad(inside, (0, 0, 1, 1, int(top == 0), int(bottom == pixels.shape[1])))


def _added(total: torch.Tensor, tiles: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Return total + tiles @ weight^T in one pass; total is (T, O)."""
    product: torch.Tensor = torch.ops.mkldnn._linear_pointwise.binary(
        tiles.flatten(0, -2), total, weight, None, "add"
    )
    return product


def _convolve_band(
    padded: torch.Tensor, weights: torch.Tensor, bias: torch.Tensor | None, y: torch.Tensor
) -> None:
    """Convolve (n, 4 h + 2, 4 w + 2, C) into y (n, 4 h, 4 w, O)."""
    sums = []
    for index, row in enumerate(_transformed(padded, dim=1)):
        tiles, weight = list(_transformed(row, dim=2)), weights[index]
        biases = [
            None if bias is None or one * _ONES[index] == 0 else bias * (one * _ONES[index]) for one in _ONES
        ]
        inner = [linear(tiles[k].flatten(0, -2), weight[k], biases[k]) for k in range(1, 5)]
        even, odd, even_b, odd_b = _paired(inner)
        sums.append(
            (
                _added(even + even_b, tiles[0], weight[0]),
                odd + odd_b,
                even.mul_(_A2).add_(even_b, alpha=_B2),
                _added(odd.mul_(_A2).add_(odd_b, alpha=_B2), tiles[5], weight[5]),
            )
        )
    shape = (y.shape[0], y.shape[1] // _TILE, y.shape[2] // _TILE, y.shape[3])
    for column in range(_TILE):
        first, *inner, last = (row[column].view(shape) for row in sums)
        even, odd, even_b, odd_b = _paired(inner)
        torch.add(first.add_(even), even_b, out=y[:, 0::_TILE, column::_TILE])
        torch.add(odd, odd_b, out=y[:, 1::_TILE, column::_TILE])
        torch.add(even.mul_(_A2), even_b, alpha=_B2, out=y[:, 2::_TILE, column::_TILE])
        torch.add(odd.mul_(_A2).add_(odd_b, alpha=_B2), last, out=y[:, 3::_TILE, column::_TILE])


def _paired(products: list[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return what A^T makes of the products at a, -a, b, -b: sums, and differences times the point (in place)."""
    at_a, at_minus_a, at_b, at_minus_b = products
    even, even_b = at_a + at_minus_a, at_b + at_minus_b
    return even, at_a.sub_(at_minus_a).mul_(_A), even_b, at_b.sub_(at_minus_b).mul_(_B)


def _transformed(d: torch.Tensor, *, dim: int) -> Iterator[torch.Tensor]:
    """Yield the six parts of B^T d along a padded dimension, four apart."""
    d0, d1, d2, d3, d4, d5 = (_every_fourth(d, k, dim) for k in range(6))
    yield torch.sub(d4, d2, alpha=_A2 + _B2).add_(d0)
    for point, other in ((_A, _B2), (_B, _A2)):
        even, odd = torch.sub(d4, d2, alpha=other), torch.sub(d3, d1, alpha=other)
        yield torch.add(even, odd, alpha=point)
        yield even.sub_(odd, alpha=point)
    yield torch.sub(d5, d3, alpha=_A2 + _B2).add_(d1)


def _every_fourth(d: torch.Tensor, start: int, dim: int) -> torch.Tensor:
    stop = start + d.shape[dim] - 5
    return d[:, start:stop:_TILE] if dim == 1 else d[:, :, start:stop:_TILE]


def _convolve_upsampled_band(
    padded: torch.Tensor, weights: torch.Tensor, bias: torch.Tensor | None, y: torch.Tensor
) -> None:
    """Convolve what (n, h + 2, w + 2, C) becomes when upsampled, into y (n, 2 h, 2 w, O)."""
    sums = []
    for index, row in enumerate(_transformed_upsampled(padded, dim=1)):
        tiles, weight = list(_transformed_upsampled(row, dim=2)), weights[index]
        middle = linear(tiles[1].flatten(0, -2), weight[1], bias if index == 1 else None)
        sums.append((_added(middle, tiles[0], weight[0]), _added(middle, tiles[2], weight[2])))
    shape = (y.shape[0], y.shape[1] // 2, y.shape[2] // 2, y.shape[3])
    for column in range(2):
        first, middle, last = (pair[column].view(shape) for pair in sums)
        torch.add(first, middle, out=y[:, 0::2, column::2])
        torch.add(middle, last, out=y[:, 1::2, column::2])


def _transformed_upsampled(d: torch.Tensor, *, dim: int) -> Iterator[torch.Tensor]:
    """Yield x[i-1] - x[i], x[i] and x[i+1] - x[i] along a padded dimension."""
    size = d.shape[dim] - 2
    before, here, after = (d.narrow(dim, k, size) for k in range(3))
    yield before - here
    yield here
    yield after - here
