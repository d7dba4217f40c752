"""Procedural backgrounds in every colour: painted walls, evening skies, concrete, boards, cloth, lights."""

from __future__ import annotations

import colorsys
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from retouch.data.noise import Rng, mix, noise, smooth

F32 = NDArray[np.float32]


def any_colour(
    rng: Rng, *, saturation: tuple[float, float] = (0.0, 0.8), value: tuple[float, float] = (0.15, 1)
) -> F32:
    """A colour of any hue, (3,) in 0..255; pale and muted ones are commoner, as in rooms."""
    s = saturation[0] + (saturation[1] - saturation[0]) * float(rng.beta(1.2, 1.8))
    rgb = colorsys.hsv_to_rgb(float(rng.random()), s, float(rng.uniform(*value)))
    return np.asarray(rgb, dtype=np.float32) * 255


def _fill(colour: F32, side: int) -> F32:
    return np.broadcast_to(colour, (side, side, 3))


def _grid(side: int) -> tuple[F32, F32]:
    y, x = np.mgrid[0:side, 0:side].astype(np.float32) / side
    return x, y


def _lamp(rng: Rng, side: int) -> F32:
    """How light falls on a wall: brightest at one point, (side, side) about 1."""
    x, y = _grid(side)
    distance = np.hypot(x - rng.uniform(-0.3, 1.3), y - rng.uniform(-0.5, 1.0))
    return np.asarray(1.15 - rng.uniform(0.1, 0.6) * distance, dtype=np.float32)


def painted_wall(rng: Rng, side: int) -> F32:
    """A painted or plastered wall under uneven light, sometimes with a floor and a skirting board."""
    wall = _fill(any_colour(rng), side) * _lamp(rng, side)[..., None]
    rough = float(rng.choice([0, 0.04, 0.12])) * (noise(rng, side, int(rng.integers(6, 60))) - 0.5)
    wall = wall * (1 + rough[..., None])
    if rng.random() < 0.55:
        _, y = _grid(side)
        edge = float(rng.uniform(0.55, 0.9))
        floor = _fill(any_colour(rng, saturation=(0, 0.5)), side) * (0.75 + 0.35 * y[..., None])
        wall = np.where((y > edge)[..., None], floor, wall)
        board = (y > edge - rng.uniform(0.01, 0.05)) & (y <= edge)
        wall = np.where(board[..., None], any_colour(rng, saturation=(0, 0.2), value=(0.6, 1)), wall)
    return np.asarray(wall, dtype=np.float32)


def blend(rng: Rng, side: int) -> F32:
    """A soft blend of three to five colours."""
    points = int(rng.integers(3, 6))
    x, y = _grid(side)
    total, weights = np.zeros((side, side, 3), np.float32), np.zeros((side, side, 1), np.float32)
    for _ in range(points):
        near = np.exp(-((x - rng.uniform(0, 1)) ** 2 + (y - rng.uniform(0, 1)) ** 2) * rng.uniform(3, 9))
        total += near[..., None] * any_colour(rng)
        weights += near[..., None]
    return np.asarray(total / np.maximum(weights, 1e-4), dtype=np.float32)


def evening(rng: Rng, side: int) -> F32:
    """A sky at dawn, dusk or night: bands of colour, streaks of cloud, sometimes dark land below."""
    palettes = (
        ((40, 48, 96), (196, 96, 110), (252, 190, 110)),
        ((70, 90, 150), (190, 150, 190), (250, 214, 180)),
        ((10, 14, 40), (24, 34, 80), (60, 70, 120)),
        ((90, 104, 122), (150, 158, 168), (196, 198, 200)),
        ((120, 50, 60), (226, 110, 60), (254, 206, 120)),
    )
    shift = rng.normal(0, 14, 3)
    stops = np.array(palettes[int(rng.integers(len(palettes)))], np.float32) + shift
    _, y = _grid(side)
    level = np.clip(y * rng.uniform(1.0, 1.6), 0, 1) * 2
    lower = np.minimum(level.astype(np.intp), 1)
    air = mix(stops[lower], stops[lower + 1], (level - lower).astype(np.float32))
    streaks = smooth(rng, side, (int(rng.integers(6, 16)), int(rng.integers(2, 5))))
    cover = np.clip((streaks - rng.uniform(0.45, 0.7)) * 3, 0, 1) * rng.uniform(0.2, 0.8)
    sky = mix(air, air * rng.uniform(0.6, 1.25) + 8, cover.astype(np.float32))
    if rng.random() < 0.6:
        ridge = rng.uniform(0.65, 0.95) + 0.15 * (noise(rng, side, 3)[0] - 0.5)
        land = stops[0] * rng.uniform(0.15, 0.6)
        sky = np.where((y > ridge[None, :])[..., None], land, sky)
    return np.asarray(sky, dtype=np.float32)


def concrete(rng: Rng, side: int) -> F32:
    """Concrete, asphalt or stone seen straight: grain, stains, sometimes joints."""
    base = any_colour(rng, saturation=(0, 0.25), value=(0.2, 0.85))
    grain = (noise(rng, side, side // 2, octaves=1) - 0.5) * rng.uniform(0.1, 0.45)
    stains = (noise(rng, side, 4, octaves=4) - 0.5) * rng.uniform(0.1, 0.4)
    surface = base * (1 + (grain + stains)[..., None]) * _lamp(rng, side)[..., None]
    if rng.random() < 0.4:
        x, y = _grid(side)
        every, wide = rng.uniform(0.25, 0.6), rng.uniform(0.006, 0.02)
        joint = (((x + rng.random()) % every) < wide) | (((y + rng.random()) % every) < wide)
        surface = np.where(joint[..., None], surface * 0.6, surface)
    return np.asarray(surface, dtype=np.float32)


def boards(rng: Rng, side: int) -> F32:
    """A wall or fence of painted or plain boards, upright or lying."""
    x, y = _grid(side)
    if rng.random() < 0.5:
        x, y = y, x
    count = int(rng.integers(4, 12))
    board = np.minimum((x * count).astype(np.intp), count - 1)
    tone = rng.normal(1, rng.uniform(0.02, 0.12), count)[board]
    wood = np.array((150, 104, 66), np.float32) + rng.normal(0, 18, 1)
    paint = wood if rng.random() < 0.4 else any_colour(rng)
    grain = smooth(rng, side, (3, side // 3))
    grain = grain if x[0, 0] == x[-1, 0] else grain.T
    surface = paint * (tone * (1 + rng.uniform(0.05, 0.3) * (grain - 0.5)))[..., None]
    gap = (x * count) % 1 < rng.uniform(0.03, 0.09)
    return np.asarray(np.where(gap[..., None], surface * 0.45, surface) * _lamp(rng, side)[..., None])


def cloth(rng: Rng, side: int) -> F32:
    """Cloth or carpet: one colour, or stripes or checks, a weave, soft folds."""
    x, y = _grid(side)
    first, second = any_colour(rng), any_colour(rng)
    pattern = rng.random()
    count = float(rng.uniform(3, 14))
    bars = ((x * count) % 1 < 0.5).astype(np.float32)
    rows = ((y * count) % 1 < 0.5).astype(np.float32)
    # Plain half of the time; then stripes, or checks.
    weight = bars * 0 if pattern < 0.5 else bars if pattern < 0.75 else (bars + rows) * np.float32(0.5)
    surface = mix(_fill(first, side), second, weight)
    threads = (noise(rng, side, side // 2, octaves=1) - 0.5) * rng.uniform(0.1, 0.4)
    folds = (noise(rng, side, 3, octaves=2) - 0.5) * rng.uniform(0, 0.5)
    return np.asarray(surface * (1 + (threads + folds)[..., None]), dtype=np.float32)


def lights(rng: Rng, side: int) -> F32:
    """Out-of-focus lights or leaves: soft discs over a blend."""
    ground = blend(rng, side) * rng.uniform(0.3, 0.9)
    x, y = _grid(side)
    for _ in range(int(rng.integers(10, 45))):
        radius = rng.uniform(0.02, 0.1)
        distance = np.hypot(x - rng.random(), y - rng.random())
        disc = np.clip((radius - distance) / (radius * rng.uniform(0.1, 0.5)), 0, 1)
        ground = mix(ground, any_colour(rng, value=(0.5, 1)), (disc * rng.uniform(0.1, 0.6)).astype(np.float32))
    return np.asarray(ground, dtype=np.float32)


WALLS: dict[str, Callable[[Rng, int], F32]] = {
    "painted-wall": painted_wall,
    "blend": blend,
    "evening": evening,
    "concrete": concrete,
    "boards": boards,
    "cloth": cloth,
    "lights": lights,
}
