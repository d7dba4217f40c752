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

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch

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

Tiles = Iterable[Sequence[torch.Tensor]]
"""Transformed inputs (n, h, w, C), row by row of the transformed tile."""
Products = Iterable[Callable[..., torch.Tensor]]
"""For each row of the transformed tile `product(column, bias=None, added=None)`: tiles times weights, (T, O)."""


@dataclass(frozen=True, slots=True)
class Filtering:
    """One minimal filtering.

    Attributes:
        matrix: G.
        tile: inputs from one tile to the next, along one side.
        upsampling: outputs for each input, along one side.
        plane_floats: numbers of a band in one position of its transformed tiles; the twenty or so such planes that
            are alive at once should stay in the last cache.
        tiles_of: transforms a band of inputs, padded by one on each side.
        sum_up: writes a band's outputs, made of the products and the bias.
    """

    matrix: tuple[tuple[float, ...], ...]
    tile: int
    upsampling: int
    plane_floats: int
    tiles_of: Callable[[torch.Tensor], Tiles]
    sum_up: Callable[[Products, torch.Tensor | None, torch.Tensor], None]

    @property
    def square(self) -> torch.Tensor:
        """The Kronecker square of G, which transforms both sides of a weight in one reading; fp32."""
        g = torch.tensor(self.matrix, dtype=torch.float64)
        return torch.kron(g, g).float()


def _tiles(padded: torch.Tensor) -> Tiles:
    """Yield B^T d B of (n, 4 h + 2, 4 w + 2, C): six rows of six."""
    return (list(_transformed(row, dim=2)) for row in _transformed(padded, dim=1))


def _sum_up(rows: Products, bias: torch.Tensor | None, y: torch.Tensor) -> None:
    """Write A^T (products) A and the bias into y (n, 4 h, 4 w, O)."""
    sums = []
    for one, product in zip(_ONES, rows, strict=True):
        biases = [None if bias is None or one * other == 0 else bias * (one * other) for other in _ONES]
        even, odd, even_b, odd_b = _paired([product(k, biases[k]) for k in range(1, 5)])
        sums.append(
            (
                product(0, added=even + even_b),
                odd + odd_b,
                even.mul_(_A2).add_(even_b, alpha=_B2),
                product(5, added=odd.mul_(_A2).add_(odd_b, alpha=_B2)),
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


def _tiles_upsampled(padded: torch.Tensor) -> Tiles:
    """Yield the three rows of three of (n, h + 2, w + 2, C) that remain when it is upsampled."""
    return (list(_transformed_upsampled(row, dim=2)) for row in _transformed_upsampled(padded, dim=1))


def _sum_up_upsampled(rows: Products, bias: torch.Tensor | None, y: torch.Tensor) -> None:
    """Write what three rows of three products and the bias come to into y (n, 2 h, 2 w, O)."""
    sums = []
    for index, product in enumerate(rows):
        middle = product(1, bias if index == 1 else None)
        sums.append((product(0, added=middle), product(2, added=middle)))
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


PLAIN = Filtering(_G, _TILE, 1, 2**17, _tiles, _sum_up)
"""F(4x4, 3x3), of stride 1."""
UPSAMPLED = Filtering(_G_UPSAMPLED, 1, 2, 2**19, _tiles_upsampled, _sum_up_upsampled)
"""F(2x2, 3x3) after a nearest-neighbour upsampling by 2."""
