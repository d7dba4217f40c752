"""3x3 convolutions by Winograd's minimal filtering: the same numbers from fewer multiplications.

F(2x2, 3x3) of Lavin & Gray 2015 (arXiv:1509.09308, section 4.1): a tile of 2x2 outputs comes from a tile d of
4x4 inputs by Y = A^T [(G g G^T) * (B^T d B)] A, which takes 16 multiplications instead of 36; summed over
channels, the products are 16 matrix multiplications. oneDNN runs 3x3 convolutions directly on x86, so this is
faster wherever channels are many; its rounding errors are smaller, for its sums are shorter.

After a nearest-neighbour upsampling by 2, the inputs of a tile are x[i-1], x[i], x[i], x[i+1]: of the four
transformed rows one is zero, and 9 of the 16 multiplications remain.
"""

from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F

_G = ((1.0, 0.0, 0.0), (0.5, 0.5, 0.5), (0.5, -0.5, 0.5), (0.0, 0.0, 1.0))
_BAND_FLOATS = 2**20
"""Floats of one transformed band: what a band's matrices hold should stay in the processor's last cache."""

Prologue = Callable[[torch.Tensor], torch.Tensor]


def transform_weight(weight: torch.Tensor) -> torch.Tensor:
    """Return G g G^T as (4, 4, O, C), from (O, C, 3, 3)."""
    g = torch.tensor(_G, dtype=weight.dtype, device=weight.device)
    half = torch.einsum("ai,ocij->aocj", g, weight)
    return torch.einsum("aocj,bj->aboc", half, g).contiguous()


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


def _matmul(tiles: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Return tiles @ weight^T over the last dimension, as (T, O)."""
    return linear(tiles.flatten(0, -2), weight, None)


def linear(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    """Multiply as `F.linear`, by oneDNN, which is faster than the default matrix library on AMD processors."""
    product: torch.Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
    return product


def _convolve_band(
    padded: torch.Tensor, weights: torch.Tensor, bias: torch.Tensor | None, y: torch.Tensor
) -> None:
    """Convolve (n, 2 h + 2, 2 w + 2, C) into y (n, 2 h, 2 w, O)."""
    rows = [padded[:, k : k + padded.shape[1] - 3 : 2] for k in range(4)]
    sums: list[tuple[torch.Tensor, torch.Tensor]] = []
    for index in range(4):
        products = [_matmul(part, weights[index, k]) for k, part in enumerate(_columns(_row(rows, index)))]
        sums.append(_outputs(products))
    shape = (y.shape[0], y.shape[1] // 2, y.shape[2] // 2, y.shape[3])
    for column in range(2):
        for row, total in enumerate(_outputs([pair[column] for pair in sums])):
            _store(total.view(shape), bias, y[:, row::2, column::2])


def _row(rows: list[torch.Tensor], index: int) -> torch.Tensor:
    """Return row `index` of B^T d, from the four rows of d."""
    if index == 0:
        return rows[0] - rows[2]
    if index == 3:
        return rows[1] - rows[3]
    return rows[1] + rows[2] if index == 1 else rows[2] - rows[1]


def _columns(row: torch.Tensor) -> Iterator[torch.Tensor]:
    """Yield the four columns of (B^T d) B, each (n, h, w, C)."""
    columns = [row[:, :, k : k + row.shape[2] - 3 : 2] for k in range(4)]
    for index in range(4):
        yield _row(columns, index)


def _outputs(m: list[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    """Return m A of four columns (or A^T m of four rows); overwrites the first."""
    difference = m[1] - m[2]
    return m[0].add_(m[1]).add_(m[2]), difference.sub_(m[3])


def _convolve_upsampled_band(
    padded: torch.Tensor, weights: torch.Tensor, bias: torch.Tensor | None, y: torch.Tensor
) -> None:
    """Convolve what (n, h + 2, w + 2, C) becomes when upsampled, into y (n, 2 h, 2 w, O)."""
    sums: list[tuple[torch.Tensor, torch.Tensor]] = []
    for index, transformed in enumerate(_thirds(padded, dim=1)):
        products = [_matmul(part, weights[index, k]) for k, part in enumerate(_thirds(transformed, dim=2))]
        sums.append(_upsampled_outputs(products))
    shape = (y.shape[0], y.shape[1] // 2, y.shape[2] // 2, y.shape[3])
    for column in range(2):
        for row, total in enumerate(_upsampled_outputs([pair[column] for pair in sums])):
            _store(total.view(shape), bias, y[:, row::2, column::2])


def _thirds(d: torch.Tensor, *, dim: int) -> Iterator[torch.Tensor]:
    """Yield x[i-1] - x[i], x[i] and x[i] - x[i+1] along a padded dimension."""
    size = d.shape[dim] - 2
    before, here, after = (d.narrow(dim, k, size) for k in range(3))
    yield before - here
    yield here
    yield here - after


def _upsampled_outputs(m: list[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    """Return m A without the term that is zero; overwrites the first and the last."""
    return m[0].add_(m[1]), torch.sub(m[1], m[2], out=m[2])


def _store(total: torch.Tensor, bias: torch.Tensor | None, target: torch.Tensor) -> None:
    if bias is None:
        target.copy_(total)
    else:
        torch.add(total, bias, out=target)
