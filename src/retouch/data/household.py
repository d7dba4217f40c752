"""Tables, lamps and bottles drawn by the project itself, as `solids` draws benches and vases."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from retouch.data.shading import Box, Colour, render_boxes, revolve

U8 = NDArray[np.uint8]
F64 = NDArray[np.float64]


def table(*, yaw: float, top: Colour, legs: Colour, length: float = 1.0, height: float = 0.85) -> U8:
    """A table with four legs and an apron, seen from `yaw` radians."""
    boxes: list[Box] = [((-length, height - 0.08, -0.55), (length, height, 0.55), top)]
    for x in (-length + 0.06, length - 0.18):
        boxes += [((x, 0.0, z), (x + 0.12, height - 0.08, z + 0.12), legs) for z in (-0.5, 0.38)]
    boxes += [
        ((-length + 0.18, height - 0.2, z), (length - 0.18, height - 0.08, z + 0.05), legs) for z in (-0.46, 0.41)
    ]
    return render_boxes(boxes, yaw=yaw, pitch=0.38)


def _lamp(y: F64) -> F64:
    shade = 0.17 + 0.22 * (y / 0.42)
    stem = np.full_like(y, 0.025)
    foot = 0.2 * np.sqrt(np.clip(1 - ((1 - y) / 0.1) ** 2, 0, 1)) + 0.02
    return np.where(y < 0.42, shade, np.where(y < 0.9, stem, np.maximum(stem, foot)))


def _bellied_lamp(y: F64) -> F64:
    shade = 0.2 + 0.16 * (y / 0.4)
    body = 0.05 + 0.17 * np.sin(np.pi * np.clip((y - 0.44) / 0.5, 0, 1)) ** 1.2
    foot = np.full_like(y, 0.16)
    return np.where(y < 0.4, shade, np.where(y < 0.94, body, foot))


def lamp(profile: Callable[[F64], F64], shade: Colour, foot: Colour, *, edge: float) -> U8:
    """A table lamp: a shade down to the height `edge`, and a foot of another colour."""
    rim = (int(shade[0] * 0.85), int(shade[1] * 0.85), int(shade[2] * 0.85))
    return revolve(profile, foot, bands=[(0.0, edge, shade), (0.0, 0.03, rim)])


def _bottle(y: F64) -> F64:
    neck = np.full_like(y, 0.055)
    shoulder = 0.055 + 0.095 * (1 - np.cos(np.pi * np.clip((y - 0.28) / 0.17, 0, 1))) / 2
    return np.where(y < 0.045, 0.065, np.where(y < 0.28, neck, np.where(y > 0.985, 0.14, shoulder)))


def bottle(glass: Colour, cap: Colour, label: Colour) -> U8:
    """A bottle with a cap and a blank label."""
    return revolve(_bottle, glass, bands=[(0.0, 0.1, cap), (0.56, 0.82, label)])


HOUSEHOLD: dict[str, Callable[[], U8]] = {
    "table-1": lambda: table(yaw=-0.5, top=(184, 124, 74), legs=(150, 98, 56)),
    "table-2": lambda: table(yaw=0.4, top=(214, 208, 198), legs=(120, 124, 134), length=1.25),
    "table-3": lambda: table(yaw=-0.7, top=(140, 88, 52), legs=(116, 70, 40), length=0.7, height=1.0),
    "lamp-1": lambda: lamp(_lamp, (248, 226, 168), (112, 116, 128), edge=0.42),
    "lamp-2": lambda: lamp(_bellied_lamp, (240, 236, 226), (70, 134, 190), edge=0.4),
    "lamp-3": lambda: lamp(_bellied_lamp, (250, 214, 150), (196, 106, 72), edge=0.4),
    "bottle-1": lambda: bottle((46, 110, 70), (60, 60, 64), (240, 234, 214)),
    "bottle-2": lambda: bottle((86, 150, 206), (226, 228, 232), (250, 250, 250)),
}
