"""Laplace's equation over a hole: the smoothest surface that its border holds, in time linear in its pixels.

The surface u minimises, over the pixels p of the hole,

    sum over neighbours (u_p - u_q)²  +  sum over p (stiffness_p u_p² - 2 load_p u_p),

so that it is harmonic inside, and held towards load / stiffness where the border is. Small holes are solved by
V-cycles, in each of which every second pixel moves at a time (red and black Gauss-Seidel). Large ones are solved
at half the size first; then only pixels near the border move, as what is far from it is so smooth that it can be
interpolated. Sources: A. Brandt, "Multi-level adaptive solutions to boundary-value problems" (1977); A. Agarwala,
"Efficient gradient-domain compositing using quadtrees" (2007), for large holes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from retouch.imaging.halving import F32, apart, behind, box_sum, doubled, summed
from retouch.imaging.morphology import Mask, crop

_SMALL = 1 << 15
"""Pixels of a hole up to which every one of them moves on every level."""
_FEW = 100
"""Cells that are solved as one dense system: below it, small arrays cost more in calls than in numbers."""
_RELATIVE_ZERO = 1e-10
_CYCLES = 6
_SWEEPS = 2
_BAND_STEPS = (1, 3, 4)
"""Their sum, 8 px, is the width of the border in which every pixel moves."""
_BAND_SWEEPS = 6


def solve_laplace(hole: Mask, stiffness: F32, load: F32) -> F32:
    """Return the surface u, 0 outside the hole.

    Args:
        hole: (H, W).
        stiffness: (H, W), 0 and above; each connected part of the hole has some.
        load: (C, H, W), channel by channel what the border holds the surface to, times the stiffness.
    Returns:
        (C, H, W).
    """
    assert hole.shape == stiffness.shape == load.shape[1:]
    across, down = np.zeros((2, *hole.shape), np.float32)
    across[:, :-1] = hole[:, :-1] & hole[:, 1:]
    down[:-1] = hole[:-1] & hole[1:]
    return _solved(_Grid(hole, across, down, stiffness, load))


@dataclass(frozen=True, slots=True, eq=False)
class _Grid:
    """The problem at one size.

    Attributes:
        hole: (H, W).
        across: (H, W), how strongly a cell is tied to the next one in its row; the last column is 0.
        down: (H, W), to the next one in its column; the last row is 0.
        stiffness: (H, W).
        load: (C, H, W).
    """

    hole: Mask
    across: F32
    down: F32
    stiffness: F32
    load: F32

    def halved(self) -> Self:
        """Return the problem of cells of 2 x 2: sums stay what they are, and ties become as long as wide."""
        return type(self)(
            hole=summed(self.hole),
            across=behind(summed(self.across, axes=(-2,)), axis=-1) * np.float32(0.5),
            down=behind(summed(self.down, axes=(-1,)), axis=-2) * np.float32(0.5),
            stiffness=summed(self.stiffness),
            load=summed(self.load),
        )


@dataclass(frozen=True, slots=True, eq=False)
class _Cells:
    """Some cells of a grid, none a neighbour of another: they can all move at once.

    Attributes:
        places: (N) flat indices.
        neighbours: (4, N), those of the cells before, behind, above and below; any where there is none.
        ties: (4, N) to these cells; 0 where there is none.
        diagonal: (N).
    """

    places: NDArray[np.intp]
    neighbours: NDArray[np.intp]
    ties: F32
    diagonal: F32

    def pull(self, surface: F32) -> F32:
        """Return (C, N), what the neighbours add to the cells' equations; `surface` is (C, H * W)."""
        # `take`, because an index takes five times as long.
        total: F32 = surface.take(self.neighbours[0], axis=1)
        total *= self.ties[0]
        for ties, places in zip(self.ties[1:], self.neighbours[1:], strict=True):
            found = surface.take(places, axis=1)
            found *= ties
            total += found
        return total


_Colours = tuple[_Cells, _Cells]


def _cells_of(grid: _Grid, marked: Mask) -> _Colours:
    """Return the red and the black ones of the marked cells."""
    width = marked.shape[1]
    row, column = np.nonzero(marked)
    is_red = (row + column) % 2 == 0
    places = row * width + column
    red, black = (_cells_at(grid, some) for some in (places[is_red], places[~is_red]))
    return red, black


def _cells_at(grid: _Grid, places: NDArray[np.intp]) -> _Cells:
    width = grid.hole.shape[1]
    offsets = np.array([-1, 1, -width, width])
    return _Cells(places, (places + offsets[:, None]) % grid.hole.size, *_ties(grid, places))


def _ties(grid: _Grid, places: NDArray[np.intp]) -> tuple[F32, F32]:
    """Return (4, N) and (N), the ties of cells and their sum with the stiffness."""
    width = grid.hole.shape[1]
    # Before the first cell comes, wrapped, the last one: the ties there are 0.
    ties = np.stack(
        [
            grid.across.take(places - 1, mode="wrap"),
            grid.across.take(places),
            grid.down.take(places - width, mode="wrap"),
            grid.down.take(places),
        ]
    )
    diagonal = ties.sum(axis=0) + grid.stiffness.take(places)
    return ties, np.maximum(diagonal, np.finfo(np.float32).tiny)  # a lone cell that nothing holds stays at 0


def _sweep(surface: F32, load: F32, colours: _Colours, count: int) -> None:
    """Let each cell meet its own equation, one colour after the other; `surface` and `load` are (C, H, W)."""
    flat, loads = (array.reshape(len(array), -1) for array in (surface, load))
    for _ in range(count):
        for cells in colours:
            found = cells.pull(flat)
            found += loads.take(cells.places, axis=1)
            found /= cells.diagonal
            _put(flat, cells.places, found)


def _solved(grid: _Grid) -> F32:
    if np.count_nonzero(grid.hole) <= _SMALL:
        return _solved_by_cycles(grid)
    coarse = grid.halved()
    surface = _enlarged(_solved(coarse), coarse.hole, grid.hole)
    _sweep(surface, grid.load, _cells_of(grid, grid.hole & ~_deep(grid.hole)), _BAND_SWEEPS)
    return surface


def _solved_by_cycles(grid: _Grid) -> F32:
    levels, coarsest = _levels(grid)
    # From the mean on, cycles have differences to settle only: what is held to one value has it at once.
    mean = grid.load.sum(axis=(1, 2)) / max(grid.stiffness.sum(), np.finfo(np.float32).tiny)
    surface: F32 = mean.astype(np.float32)[:, None, None] * grid.hole
    for _ in range(_CYCLES):
        _cycle(levels, coarsest, surface, grid.load)
    return surface


_Level = tuple[Mask, _Colours]


def _levels(grid: _Grid) -> tuple[list[_Level], "_Dense"]:
    """Return hole and cells, size by size, and the size that is solved at once."""
    levels = []
    while np.count_nonzero(grid.hole) > _FEW:
        levels.append((grid.hole, _cells_of(grid, grid.hole)))
        grid = grid.halved()
    return levels, _Dense.of(grid)


@dataclass(frozen=True, slots=True, eq=False)
class _Dense:
    """A problem of few cells, as one system of equations.

    Attributes:
        places: (N) flat indices of the cells.
        matrix, inverse: (N, N), float64.
    """

    hole: Mask
    places: NDArray[np.intp]
    matrix: NDArray[np.float64]
    inverse: NDArray[np.float64]

    @classmethod
    def of(cls, grid: _Grid) -> Self:
        places = np.flatnonzero(grid.hole)
        number = np.zeros(grid.hole.size, np.intp)
        number[places] = np.arange(len(places))
        matrix = np.zeros((len(places), len(places)))
        for ties, step in ((grid.across, 1), (grid.down, grid.hole.shape[1])):
            tied = np.flatnonzero(ties)
            first, second = number[tied], number[tied + step]
            matrix[first, second] = matrix[second, first] = -ties.ravel()[tied]
        matrix += np.diag(grid.stiffness.ravel()[places] - matrix.sum(axis=1))
        return cls(grid.hole, places, matrix, _inverse(matrix))

    def settle(self, surface: F32, load: F32) -> None:
        """Solve it: `surface` and `load` are (C, h, w)."""
        flat, loads = (array.reshape(len(array), -1) for array in (surface, load))
        # Both matrices are symmetric.
        missed = loads[:, self.places] - _times(flat[:, self.places], self.matrix)
        flat[:, self.places] += _times(missed, self.inverse)


def _inverse(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the inverse of a symmetric matrix (N, N) that has no negative eigenvalues, by Gauss and Jordan's way.

    Where it has none, in a part that nothing holds, one cell is left as it is.

    This is not LAPACK's, nor are products BLAS's: they would start threads for a hundred numbers, which then spin
    for 50 ms of a processor that others want, and their bits depend on the processor.
    """
    inverse, least = matrix.copy(), _RELATIVE_ZERO * matrix.diagonal()
    for number in range(len(inverse)):
        column, row = inverse[:, number].copy(), inverse[number].copy()
        pivot = row[number]
        if pivot <= least[number]:
            inverse[number] = inverse[:, number] = 0.0
            continue
        row /= pivot
        inverse -= np.multiply.outer(column, row)
        inverse[number], inverse[:, number] = row, -column / pivot
        inverse[number, number] = 1.0 / pivot
    return inverse


def _times(rows: NDArray[np.floating[Any]], matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the product of rows (C, N) and a symmetric matrix (N, N)."""
    return np.stack([(matrix * row).sum(axis=1) for row in rows])


def _cycle(levels: Sequence[_Level], coarsest: _Dense, surface: F32, load: F32) -> None:
    """Improve a surface: the short waves of its error here, the long ones at half the size."""
    if not levels:
        coarsest.settle(surface, load)
        return
    (hole, colours), coarser = levels[0], levels[1:]
    _sweep(surface, load, colours, _SWEEPS)
    rest = summed(_residual(surface, load, colours))
    correction = np.zeros_like(rest)
    _cycle(coarser, coarsest, correction, rest)
    surface += _enlarged(correction, coarser[0][0] if coarser else coarsest.hole, hole)
    _sweep(surface, load, colours[::-1], _SWEEPS)


def _residual(surface: F32, load: F32, colours: _Colours) -> F32:
    """Return (C, H, W), by how much each cell misses its equation."""
    rest = np.zeros_like(surface)
    flat, loads, out = (array.reshape(len(array), -1) for array in (surface, load, rest))
    for cells in colours:
        missed = loads.take(cells.places, axis=1) + cells.pull(flat)
        missed -= cells.diagonal * flat.take(cells.places, axis=1)
        _put(out, cells.places, missed)
    return rest


def _put(planes: F32, places: NDArray[np.intp], values: F32) -> None:
    """Set (C, N) values at places of planes (C, H * W); one by one, which NumPy does in a third of the time."""
    for plane, own in zip(planes, values, strict=True):
        plane[places] = own


def _enlarged(coarse: F32, coarse_hole: Mask, hole: Mask) -> F32:
    """Return a surface (C, h, w) at twice the size, interpolated inside the hole and 0 outside.

    Cells beside the coarse hole take the mean of their neighbours in it first, so that nothing outside enters.
    """
    weights = np.asarray(coarse_hole, np.float32)
    beside = box_sum(weights)
    means = box_sum(coarse) / np.maximum(beside, 1)
    filled = np.where(coarse_hole, coarse, means)
    enlarged = np.empty((len(coarse), *hole.shape), np.float32)
    for channel, plane in zip(enlarged, filled, strict=True):  # one by one: smaller arrays stay in memory's reach
        wide = doubled(doubled(plane, axis=-1), axis=-2)
        np.multiply(crop(wide, (0, 0, hole.shape[1], hole.shape[0])), hole, out=channel)
    return enlarged


def _deep(hole: Mask) -> Mask:
    """Mark what is further than the band is wide, along both axes, from anything that is not the hole."""
    deep = hole
    for axis in (-2, -1):
        for step in _BAND_STEPS:
            both = deep.copy()
            (first, last), (behind, before) = apart(both, step, axis), apart(deep, step, axis)[::-1]
            first &= behind
            last &= before
            deep = both
    return deep
