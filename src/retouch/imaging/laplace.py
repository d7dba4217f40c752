"""Laplace's equation over a hole: the smoothest surface that its border holds, in time linear in its pixels.

The surface u minimises, over the pixels p of the hole,

    sum over neighbours (u_p - u_q)²  +  sum over p (stiffness_p u_p² - 2 load_p u_p),

so that it is harmonic inside, and held towards load / stiffness where the border is. Small holes are solved by
V-cycles, in each of which every second pixel moves at a time (red and black Gauss-Seidel). Large ones are solved at
half the size first; then only pixels near the border move, since what is far from it is as smooth as its interpolation
(so too A. Agarwala, "Efficient gradient-domain compositing using quadtrees", 2007). Multigrid: A. Brandt,
"Multi-level adaptive solutions to boundary-value problems" (1977).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from retouch.imaging.morphology import Mask

F32 = NDArray[np.float32]
_Scalar = TypeVar("_Scalar", bound=np.generic)

_SMALL = 1 << 15
"""Pixels of a hole up to which every one of them moves on every level."""
_CYCLES = 8
_SWEEPS = 2
_BAND_STEPS = (1, 3, 4)
"""Together the width, 8 px, of the border in which every pixel moves; each step at most spans what is before it."""
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
    grid = _Grid(
        across=(hole[:, :-1] & hole[:, 1:]).astype(np.float32),
        down=(hole[:-1] & hole[1:]).astype(np.float32),
        stiffness=stiffness * hole,
        load=load * hole,
    )
    return _solved(grid)


@dataclass(frozen=True, slots=True, eq=False)
class _Grid:
    """The problem at one size.

    Attributes:
        across: (H, W - 1), how strongly a cell is tied to the next one in its row.
        down: (H - 1, W), to the next one in its column.
        stiffness: (H, W).
        load: (C, H, W).
    """

    across: F32
    down: F32
    stiffness: F32
    load: F32

    @property
    def diagonal(self) -> F32:
        """(H, W), the sum of all ties of a cell; above 0 exactly in the hole."""
        total = self.stiffness.copy()
        total[:, :-1] += self.across
        total[:, 1:] += self.across
        total[:-1] += self.down
        total[1:] += self.down
        return total

    def halved(self) -> Self:
        """Return the problem of cells of 2 x 2: what is summed is kept, and ties become as long as they are wide."""
        return type(self)(
            across=_summed(self.across[:, 1::2], axes=(-2,)) / 2,
            down=_summed(self.down[1::2], axes=(-1,)) / 2,
            stiffness=_summed(self.stiffness),
            load=_summed(self.load),
        )


def _summed(cells: F32, axes: tuple[int, ...] = (-2, -1)) -> F32:
    """Add up pairs of neighbours along axes; the last one stands alone where the length is odd."""
    for axis in axes:
        pairs = _sliced(cells, slice(0, None, 2), axis).copy()
        behind = _sliced(cells, slice(1, None, 2), axis)
        _sliced(pairs, slice(0, behind.shape[axis]), axis)[...] += behind
        cells = pairs
    return cells


@dataclass(frozen=True, slots=True, eq=False)
class _Cells:
    """Some cells of a grid, none a neighbour of another: they can all move at once.

    Attributes:
        places: (N) flat indices.
        offsets: to the cells before, behind, above and below.
        ties: (4, N) to these cells; 0 where there is none.
        diagonal: (N).
    """

    places: NDArray[np.intp]
    offsets: tuple[int, int, int, int]
    ties: F32
    diagonal: F32

    def pull(self, surface: F32) -> F32:
        """Return (C, N), what the neighbours add to the cells' equations; `surface` is (C, H * W)."""
        total = np.zeros((len(surface), len(self.places)), np.float32)
        for tie, offset in zip(self.ties, self.offsets, strict=True):
            total += tie * surface.take(self.places + offset, axis=1, mode="clip")
        return total


_Colours = tuple[_Cells, _Cells]


def _cells_of(grid: _Grid, marked: Mask) -> _Colours:
    """Return the red and the black ones of the marked cells."""
    diagonal = grid.diagonal
    width = diagonal.shape[1]
    row, column = np.nonzero(marked)
    is_red = (row + column) % 2 == 0
    ties = (
        np.pad(grid.across, ((0, 0), (1, 0))),
        np.pad(grid.across, ((0, 0), (0, 1))),
        np.pad(grid.down, ((1, 0), (0, 0))),
        np.pad(grid.down, ((0, 1), (0, 0))),
    )
    places = row * width + column
    red, black = (
        _Cells(
            some,
            (-1, 1, -width, width),
            np.stack([tie.ravel()[some] for tie in ties]),
            diagonal.ravel()[some],
        )
        for some in (places[is_red], places[~is_red])
    )
    return red, black


def _sweep(surface: F32, load: F32, colours: _Colours, count: int) -> None:
    """Let each cell meet its own equation, one colour after the other; `surface` and `load` are (C, H, W)."""
    flat, loads = (array.reshape(len(array), -1) for array in (surface, load))
    for _ in range(count):
        for cells in colours:
            flat[:, cells.places] = (loads[:, cells.places] + cells.pull(flat)) / cells.diagonal


def _solved(grid: _Grid) -> F32:
    hole = grid.diagonal > 0
    if np.count_nonzero(hole) <= _SMALL:
        return _solved_by_cycles(grid)
    coarse = grid.halved()
    surface = _enlarged(_solved(coarse), coarse.diagonal > 0, hole)
    _sweep(surface, grid.load, _cells_of(grid, hole & ~_deep(hole)), _BAND_SWEEPS)
    return surface


def _solved_by_cycles(grid: _Grid) -> F32:
    levels = list(_levels(grid))
    surface = np.zeros_like(grid.load)
    for _ in range(_CYCLES):
        _cycle(levels, surface, grid.load)
    return surface


_Level = tuple[Mask, _Colours]


def _levels(grid: _Grid) -> Iterator[_Level]:
    """Yield hole and cells, size by size, down to where no cell has a neighbour."""
    while True:
        hole = grid.diagonal > 0
        yield hole, _cells_of(grid, hole)
        if not (grid.across.any() or grid.down.any()):
            return
        grid = grid.halved()


def _cycle(levels: Sequence[_Level], surface: F32, load: F32) -> None:
    """Improve a surface: the short waves of its error here, the long ones at half the size."""
    (hole, colours), coarser = levels[0], levels[1:]
    _sweep(surface, load, colours, _SWEEPS)
    if not coarser:
        return
    rest = _summed(_residual(surface, load, colours))
    correction = np.zeros_like(rest)
    _cycle(coarser, correction, rest)
    surface += _enlarged(correction, coarser[0][0], hole)
    _sweep(surface, load, colours[::-1], _SWEEPS)


def _residual(surface: F32, load: F32, colours: _Colours) -> F32:
    """Return (C, H, W), by how much each cell misses its equation."""
    rest = np.zeros_like(surface)
    flat, loads, out = (array.reshape(len(array), -1) for array in (surface, load, rest))
    for cells in colours:
        out[:, cells.places] = (
            loads[:, cells.places] + cells.pull(flat) - cells.diagonal * flat[:, cells.places]
        )
    return rest


def _enlarged(coarse: F32, coarse_hole: Mask, hole: Mask) -> F32:
    """Return a surface (C, h, w) at twice the size, interpolated inside the hole and 0 outside.

    Cells beside the coarse hole take the mean of their neighbours in it first, so that nothing outside enters.
    """
    weights = np.asarray(coarse_hole, np.float32)
    beside = _box_sum(weights)
    means = _box_sum(coarse) / np.maximum(beside, 1)
    filled = np.where(coarse_hole, coarse, means)
    height, width = hole.shape
    wide = _doubled(_doubled(filled, axis=-1), axis=-2)[:, :height, :width]
    return np.asarray(wide * hole)


def _box_sum(cells: F32) -> F32:
    """Add up the 3 x 3 cells around each one."""
    for axis in (-2, -1):
        summed = cells.copy()
        (first, last), (behind, before) = _apart(summed, 1, axis), _apart(cells, 1, axis)[::-1]
        first += behind
        last += before
        cells = summed
    return cells


def _doubled(cells: F32, axis: int) -> F32:
    """Double an axis by linear interpolation; beyond its ends the last cell goes on."""
    shape = list(cells.shape)
    shape[axis] *= 2
    result = np.empty(shape, np.float32)
    left, right = _sliced(result, slice(0, None, 2), axis), _sliced(result, slice(1, None, 2), axis)
    # c + (neighbour - c) / 4, which is c, bit for bit, where all are the same
    first, last = _apart(cells, 1, axis)
    quarter = (last - first) * np.float32(0.25)
    left[...] = cells
    right[...] = cells
    _apart(left, 1, axis)[1][...] -= quarter
    _apart(right, 1, axis)[0][...] += quarter
    return result


def _deep(hole: Mask) -> Mask:
    """Mark what is further than the band is wide, along both axes, from anything that is not the hole."""
    deep = hole
    for axis in (-2, -1):
        for step in _BAND_STEPS:
            both = deep.copy()
            (first, last), (behind, before) = _apart(both, step, axis), _apart(deep, step, axis)[::-1]
            first &= behind
            last &= before
            deep = both
    return deep


def _apart(cells: NDArray[_Scalar], step: int, axis: int) -> tuple[NDArray[_Scalar], NDArray[_Scalar]]:
    """Return the views of all cells that have one `step` further on, and of those: pairs along an axis."""
    length = max(0, cells.shape[axis] - step)
    return _sliced(cells, slice(0, length), axis), _sliced(cells, slice(cells.shape[axis] - length, None), axis)


def _sliced(cells: NDArray[_Scalar], part: slice, axis: int) -> NDArray[_Scalar]:
    """Return the view of a part of one of the last two axes."""
    return cells[..., part] if axis == -1 else cells[..., part, :]
