"""Shaded boxes and bodies of revolution, all with one key light from the upper left.

Boxes are drawn by a painter's algorithm, bodies of revolution by their profile. Pure functions of
their arguments.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

U8 = NDArray[np.uint8]
F64 = NDArray[np.float64]
Colour = tuple[int, int, int]
Box = tuple[tuple[float, float, float], tuple[float, float, float], Colour]

_LIGHT = np.array([-0.45, 0.75, 0.5]) / np.linalg.norm([-0.45, 0.75, 0.5])
_FACES = (
    ((0, 1, 3, 2), (-1, 0, 0)),
    ((4, 5, 7, 6), (1, 0, 0)),
    ((0, 1, 5, 4), (0, -1, 0)),
    ((2, 3, 7, 6), (0, 1, 0)),
    ((0, 2, 6, 4), (0, 0, -1)),
    ((1, 3, 7, 5), (0, 0, 1)),
)


def _turn(yaw: float, pitch: float) -> F64:
    cy, sy, cp, sp = np.cos(yaw), np.sin(yaw), np.cos(pitch), np.sin(pitch)
    around = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    tilt = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    return np.asarray(tilt @ around)


def render_boxes(boxes: Sequence[Box], *, yaw: float, pitch: float, side: int = 256) -> U8:
    """Render axis-aligned boxes (low corner, high corner, colour) to RGBA (side, side, 4)."""
    big = side * 3
    rotation = _turn(yaw, pitch)
    faces: list[tuple[float, F64, Colour]] = []
    for low, high, colour in boxes:
        corners = np.array(
            [[x, y, z] for x in (low[0], high[0]) for y in (low[1], high[1]) for z in (low[2], high[2])]
        )
        turned = corners @ rotation.T
        for index, normal in _FACES:
            facing = rotation @ np.array(normal, dtype=float)
            if facing[2] <= 0:
                continue
            light = 0.55 + 0.5 * max(0.0, float(facing @ _LIGHT))
            shaded = tuple(int(min(255, channel * light + 8)) for channel in colour)
            points = turned[list(index)]
            faces.append((float(points[:, 2].mean()), points, (shaded[0], shaded[1], shaded[2])))
    everything = np.concatenate([points for _, points, _ in faces])
    low2, high2 = everything[:, :2].min(0), everything[:, :2].max(0)
    scale = 0.94 * big / float((high2 - low2).max())
    canvas = Image.new("RGBA", (big, big), (0, 0, 0, 0))
    draw = ImageDraw.Draw(canvas)
    for _, points, colour in sorted(faces, key=lambda face: face[0]):
        flat = (points[:, :2] - (low2 + high2) / 2) * scale
        draw.polygon([(big / 2 + x, big / 2 - y) for x, y in flat], fill=(*colour, 255))
    return np.asarray(canvas.resize((side, side), Image.Resampling.LANCZOS))


def revolve(
    profile: Callable[[F64], F64],
    colour: Colour,
    *,
    side: int = 256,
    bands: Sequence[tuple[float, float, Colour]] = (),
) -> U8:
    """Render a body of revolution.

    Args:
        profile: radius (0..0.5 of the height) for heights 0 (top) .. 1 (bottom).
        colour: base colour.
        bands: (from, to, colour) rings in the same heights.
    """
    big = side * 2
    rows = (np.arange(big) + 0.5) / big
    radius = np.maximum(profile(rows), 1e-3)
    slope = np.gradient(radius, rows)
    x = ((np.arange(big) + 0.5) / big - 0.5)[None, :] / radius[:, None]
    inside = np.abs(x) <= 1
    nx = np.clip(x, -1, 1)
    nz = np.sqrt(1 - nx**2)
    ny = np.broadcast_to(slope[:, None], nx.shape) * 1.0
    normal = np.stack([nx, ny, nz], -1)
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
    diffuse = np.clip(normal @ _LIGHT, 0, 1)
    # Blinn's highlight: the half vector lies between the light and the viewer (0, 0, 1).
    half = _LIGHT + np.array([0.0, 0.0, 1.0])
    gloss = np.clip(normal @ half / np.linalg.norm(half), 0, 1) ** 40
    base = np.broadcast_to(np.array(colour, dtype=float), (*nx.shape, 3)).copy()
    for start, stop, ring in bands:
        base[(rows >= start) & (rows < stop)] = ring
    rgb = base * (0.5 + 0.6 * diffuse)[..., None] + 110 * gloss[..., None]
    rgba = np.concatenate([np.clip(rgb, 0, 255), 255.0 * inside[..., None]], -1).astype(np.uint8)
    rgba[rgba[..., 3] == 0, :3] = np.array(colour, dtype=np.uint8)
    return np.asarray(Image.fromarray(rgba).resize((side, side), Image.Resampling.BOX))
