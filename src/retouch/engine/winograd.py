"""3x3 convolutions by Winograd's minimal filtering: the same numbers from fewer multiplications.

F(2x2, 3x3) of Lavin & Gray 2015 (arXiv:1509.09308, section 4.1): a tile of 2x2 outputs comes from a tile d of
4x4 inputs by Y = A^T [(G g G^T) * (B^T d B)] A, which takes 16 multiplications instead of 36; summed over
channels, the products are 16 matrix multiplications. oneDNN runs 3x3 convolutions directly on x86, so this is
faster wherever channels are many; its rounding errors are smaller, for its sums are shorter.

After a nearest-neighbour upsampling by 2, the inputs of a tile are x[i-1], x[i], x[i], x[i+1]: of the four
transformed rows one is zero, and 9 of the 16 multiplications remain.
"""

from collections.abc import Iterator

import torch
import torch.nn.functional as F

_G = ((1.0, 0.0, 0.0), (0.5, 0.5, 0.5), (0.5, -0.5, 0.5), (0.0, 0.0, 1.0))
_BAND_FLOATS = 2**19
"""Floats of one transformed band: what a band's matrices hold should stay in the processor's last cache."""


def transform_weight(weight: torch.Tensor) -> torch.Tensor:
    """Return G g G^T as (4, 4, O, C), from (O, C, 3, 3)."""
    g = torch.tensor(_G, dtype=weight.dtype, device=weight.device)
    # Both sides at once, as one product with the Kronecker square: the weights are read once.
    flat = torch.kron(g, g) @ weight.permute(2, 3, 0, 1).reshape(9, -1)
    return flat.view(4, 4, *weight.shape[:2])


def transform_weight_upsampled(weight: torch.Tensor) -> torch.Tensor:
    """Return the (3, 3, O, C) that remain after an upsampling by 2; row and column 1 count double there."""
    kept = transform_weight(weight)[[0, 1, 3]][:, [0, 1, 3]]
    kept[1] *= 2.0
    kept[:, 1] *= 2.0
    return kept.contiguous()


def conv3x3(x: torch.Tensor, weights: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    """Convolve 3x3 with stride 1 and zero padding 1.

    Args:
        x: (N, C, H, W), channels last; H and W are even.
        weights: (4, 4, O, C) from `transform_weight`.
        bias: (O,) or None.
    Returns:
        (N, O, H, W), channels last.
    """
    count, channels, height, width = x.shape
    outputs = weights.shape[2]
    y = x.new_empty(count, height, width, outputs)
    pixels = x.permute(0, 2, 3, 1)
    tile_rows = _rows_per_band(width // 2, max(channels, outputs))
    for image, top, bottom in _bands(count, height, 2 * tile_rows):
        padded = _padded_band(pixels[image], top, bottom)
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
    for image, top, bottom in _bands(count, height, _rows_per_band(width, max(channels, outputs))):
        padded = _padded_band(pixels[image], top, bottom)
        _convolve_upsampled_band(padded, weights, bias, y[image, 2 * top : 2 * bottom])
    return y.permute(0, 3, 1, 2)


def _rows_per_band(tiles_across: int, channels: int) -> int:
    return max(1, _BAND_FLOATS // (tiles_across * channels))


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


def _padded_band(pixels: torch.Tensor, top: int, bottom: int) -> torch.Tensor:
    """Return rows top - 1 .. bottom of (n, H, W, C), and a column more on each side, zero outside the image."""
    height = pixels.shape[1]
    inside = pixels[:, max(top - 1, 0) : min(bottom + 1, height)]
    return F.pad(inside, (0, 0, 1, 1, int(top == 0), int(bottom == height)))


def linear(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    """Multiply as `F.linear`, by oneDNN, which is faster than the default matrix library on AMD processors."""
    product: torch.Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
    return product


def _added(total: torch.Tensor, tiles: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Return total + tiles @ weight^T in one pass; total is (T, O)."""
    product: torch.Tensor = torch.ops.mkldnn._linear_pointwise.binary(
        tiles.flatten(0, -2), total, weight, None, "add"
    )
    return product


def _convolve_band(
    padded: torch.Tensor, weights: torch.Tensor, bias: torch.Tensor | None, y: torch.Tensor
) -> None:
    """Convolve (n, 2 h + 2, 2 w + 2, C) into y (n, 2 h, 2 w, O).

    The bias stands in one product only, of row 1 and column 1, which enters each of the four outputs once.
    """
    sums = []
    for index, row in enumerate(_transformed(padded, dim=1)):
        tiles, weight = list(_transformed(row, dim=2)), weights[index]
        second = linear(tiles[1].flatten(0, -2), weight[1], bias if index == 1 else None)
        third = linear(tiles[2].flatten(0, -2), weight[2], None)
        total = second + third
        sums.append((_added(total, tiles[0], weight[0]), _added(second.sub_(third), tiles[3], weight[3])))
    shape = (y.shape[0], y.shape[1] // 2, y.shape[2] // 2, y.shape[3])
    for column in range(2):
        first, second, third, fourth = (pair[column].view(shape) for pair in sums)
        torch.add(first.add_(second), third, out=y[:, 0::2, column::2])
        torch.add(second.sub_(third), fourth, out=y[:, 1::2, column::2])


def _transformed(d: torch.Tensor, *, dim: int) -> Iterator[torch.Tensor]:
    """Yield the four parts of B^T d along a padded dimension, two apart; the last with its sign turned.

    A^T takes the last part away; turned, it is added like the others.
    """
    first, second, third, fourth = (_every_other(d, k, dim) for k in range(4))
    yield first - third
    yield second + third
    yield third - second
    yield fourth - second


def _every_other(d: torch.Tensor, start: int, dim: int) -> torch.Tensor:
    stop = start + d.shape[dim] - 3
    return d[:, start:stop:2] if dim == 1 else d[:, :, start:stop:2]


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
