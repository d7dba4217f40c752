"""Procedural backgrounds: studio walls, sky, grass, sand, snow, sea, brick, wood, tiles; `walls` has more."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from retouch.data.noise import Rng, mix, noise
from retouch.data.walls import WALLS

U8 = NDArray[np.uint8]
F32 = NDArray[np.float32]


BRICKS = ((164, 88, 68), (178, 104, 74), (196, 190, 180), (122, 120, 122), (188, 150, 96), (98, 62, 54))
WOODS = ((158, 108, 66), (196, 150, 100), (110, 70, 46), (206, 196, 182), (132, 126, 120))


def _colour(rng: Rng, base: tuple[int, int, int], spread: float = 18) -> F32:
    """A colour near `base`: mostly lighter or darker, a little warmer or cooler."""
    shift = rng.normal(0, spread) + rng.normal(0, spread * 0.35, 3)
    return np.clip(np.array(base, dtype=np.float32) + shift, 0, 255).astype(np.float32)


def _vertical(side: int) -> F32:
    column = np.linspace(0, 1, side, dtype=np.float32)
    return np.broadcast_to(column[:, None], (side, side))


def _perspective(side: int, horizon: float) -> tuple[F32, F32, NDArray[np.bool_]]:
    """Ground coordinates (u, v) below a horizon (0..1 of the height), and where the ground is."""
    y, x = np.mgrid[0:side, 0:side].astype(np.float32) / side
    depth = 1 / np.maximum(y - horizon, 0.02)
    return (x - 0.5) * depth, depth, y > horizon


def studio(rng: Rng, side: int) -> F32:
    """A plain wall and floor of one tint with a soft sweep and vignette."""
    tint = _colour(rng, (170, 170, 172), 42)
    wall = np.broadcast_to(tint, (side, side, 3))
    sweep = 1 / (1 + np.exp(-(_vertical(side) - rng.uniform(0.55, 0.85)) * rng.uniform(8, 40)))
    y, x = np.mgrid[0:side, 0:side] / side - 0.5
    shade = 1.06 - rng.uniform(0.2, 0.7) * (x**2 + y**2)
    floor = np.clip(tint * rng.uniform(0.75, 1.2), 0, 255)
    return np.asarray(mix(wall, floor, sweep) * shade[..., None], dtype=np.float32)


def gradient(rng: Rng, side: int) -> F32:
    """A soft gradient between two muted colours in a random direction."""
    first, second = _colour(rng, (150, 150, 150), 60), _colour(rng, (150, 150, 150), 60)
    angle = rng.uniform(0, 2 * np.pi)
    y, x = np.mgrid[0:side, 0:side].astype(np.float32) / side - 0.5
    weight = np.clip(0.5 + x * np.cos(angle) + y * np.sin(angle), 0, 1).astype(np.float32)
    return mix(np.broadcast_to(first, (side, side, 3)), second, weight)


def sky(rng: Rng, side: int) -> F32:
    """A blue sky, paler towards the horizon, with clouds."""
    top, low = _colour(rng, (70, 130, 205)), _colour(rng, (175, 210, 238), 10)
    air = mix(np.broadcast_to(top, (side, side, 3)), low, _vertical(side))
    cover = rng.uniform(0.45, 0.8)
    clouds = np.clip((noise(rng, side, 3, octaves=5) - cover) * 4, 0, 1)
    return mix(air, _colour(rng, (248, 248, 250), 4), clouds.astype(np.float32))


def _field(rng: Rng, side: int, near: tuple[int, int, int], far: tuple[int, int, int]) -> F32:
    horizon = rng.uniform(0.2, 0.5)
    _, _, ground = _perspective(side, horizon)
    depth = np.clip((_vertical(side) - horizon) / (1 - horizon), 0, 1)
    soil = mix(np.broadcast_to(_colour(rng, far), (side, side, 3)), _colour(rng, near), depth)
    # Blades and grains are coarser near by; hills and hollows stay faint.
    fine, coarse = noise(rng, side, side // 2, octaves=2), noise(rng, side, side // 6, octaves=3)
    texture = (fine - 0.5) * (1 - depth) * 0.3 + (coarse - 0.5) * depth * 0.55
    texture = texture + (noise(rng, side, 3, octaves=2) - 0.5) * 0.18
    soil = soil * (1 + texture[..., None])
    return np.asarray(np.where(ground[..., None], soil, sky(rng, side)), dtype=np.float32)


def grass(rng: Rng, side: int) -> F32:
    """A lawn below a sky."""
    return _field(rng, side, (76, 132, 50), (128, 160, 90))


def sand(rng: Rng, side: int) -> F32:
    """A beach of sand below a sky."""
    return _field(rng, side, (214, 186, 138), (222, 204, 168))


def snow(rng: Rng, side: int) -> F32:
    """Snow below a sky."""
    return _field(rng, side, (232, 238, 246), (214, 224, 238))


def sea(rng: Rng, side: int) -> F32:
    """Water with waves that narrow towards the horizon."""
    horizon = rng.uniform(0.25, 0.55)
    u, v, water = _perspective(side, horizon)
    waves = np.sin(v * 14 + np.sin(u * 3 + rng.uniform(0, 6)) * 1.5) * 0.5
    waves = waves * np.clip((_vertical(side) - horizon) * 4, 0, 1) + noise(rng, side, 16) - 0.5
    base = _colour(rng, (48, 112, 150), 14)
    surface = base * (1 + 0.22 * waves[..., None])
    return np.asarray(np.where(water[..., None], surface, sky(rng, side)), dtype=np.float32)


def brick(rng: Rng, side: int) -> F32:
    """A brick wall, seen straight."""
    rows = int(rng.integers(7, 13))
    y, x = np.mgrid[0:side, 0:side].astype(np.float32) / side
    row = np.floor(y * rows).astype(np.intp)
    column = x * rows / 2.2 + (row % 2) * 0.5
    tone = rng.normal(1, 0.09, (rows + 1, rows + 2))[row, np.floor(column).astype(np.intp)]
    joint = ((y * rows) % 1 < 0.1) | (column % 1 < 0.05)
    wall = _colour(rng, BRICKS[int(rng.integers(len(BRICKS)))], 16) * tone[..., None]
    grain = 1 + 0.25 * (noise(rng, side, 40, octaves=2)[..., None] - 0.5)
    return np.asarray(np.where(joint[..., None], _colour(rng, (196, 188, 178), 8), wall) * grain)


def wood(rng: Rng, side: int) -> F32:
    """A wooden table top in perspective before a plain wall."""
    horizon = rng.uniform(0.3, 0.55)
    u, v, table = _perspective(side, horizon)
    plank = np.floor(u * 1.6 + 50).astype(np.intp)
    tone = rng.normal(1, 0.07, 200)[plank % 200]
    rings = np.sin(u * 34 + 3 * np.sin(v * 1.3 + plank) + noise(rng, side, 8) * 5)
    joint = (u * 1.6 + 50) % 1 < 0.04
    top = _colour(rng, WOODS[int(rng.integers(len(WOODS)))], 16) * (tone * (1 + 0.08 * rings))[..., None]
    top = np.where(joint[..., None], top * 0.6, top)
    return np.asarray(np.where(table[..., None], top, studio(rng, side)), dtype=np.float32)


def tiles(rng: Rng, side: int) -> F32:
    """A tiled floor in perspective before a plain wall."""
    horizon = rng.uniform(0.3, 0.5)
    u, v, floor = _perspective(side, horizon)
    even = (np.floor(u * 1.5) + np.floor(v * 1.5)) % 2 == 0
    light, dark = _colour(rng, (214, 210, 204), 12), _colour(rng, (150, 150, 156), 26)
    squares = np.where(even[..., None], light, dark)
    fog = np.clip((_vertical(side) - horizon) * 5, 0, 1).astype(np.float32)
    blended = mix(np.broadcast_to((light + dark) / 2, squares.shape), squares, fog)
    return np.asarray(np.where(floor[..., None], blended, studio(rng, side)), dtype=np.float32)


GROUNDS: dict[str, Callable[[Rng, int], F32]] = {
    "studio": studio,
    "gradient": gradient,
    "sky": sky,
    "grass": grass,
    "sand": sand,
    "snow": snow,
    "sea": sea,
    "brick": brick,
    "wood": wood,
    "tiles": tiles,
    **WALLS,
}


def draw_ground(name: str, rng: Rng, side: int) -> U8:
    """Draw the named ground as bytes (side, side, 3), under light from dim to bright, warm to cool.

    Raises:
        KeyError: no ground has that name.
    """
    light = float(rng.uniform(0.72, 1.12)) * (1 + rng.normal(0, 0.04, 3))
    grain = rng.normal(0, 1.5, (side, side, 1))
    return np.asarray(np.clip(GROUNDS[name](rng, side) * light + grain, 0, 255), dtype=np.uint8)
