"""Small solids drawn by the project itself: benches, vases, balls, a mug; `household` has more.

The consistent 3D style of the sprite packages lacks these, so they are rendered here. Pure
functions of their arguments.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from retouch.data.household import HOUSEHOLD
from retouch.data.shading import Box, Colour, render_boxes, revolve

U8 = NDArray[np.uint8]
F64 = NDArray[np.float64]


def bench(*, yaw: float, wood: Colour, metal: Colour, slats: int = 3) -> U8:
    """A park bench with a slatted seat and back, seen from `yaw` radians."""
    boxes: list[Box] = []
    for x in (-0.92, 0.78):
        for z in (-0.28, 0.24):
            boxes.append(((x, -0.5, z), (x + 0.12, 0.0, z + 0.1), metal))
        boxes.append(((x, -0.04, -0.3), (x + 0.12, 0.02, 0.34), metal))
        boxes.append(((x, 0.0, -0.36), (x + 0.12, 0.62, -0.28), metal))
    for i in range(slats):
        z = -0.26 + i * 0.62 / slats
        boxes.append(((-1.1, 0.02, z), (1.1, 0.1, z + 0.5 / slats), wood))
        y = 0.2 + i * 0.46 / slats
        boxes.append(((-1.1, y, -0.28), (1.1, y + 0.36 / slats, -0.22), wood))
    return render_boxes(boxes, yaw=yaw, pitch=0.32)


def _amphora(y: F64) -> F64:
    body = 0.34 * np.sin(np.pi * np.clip((y - 0.16) / 0.98, 0, 1)) ** 0.8
    lip = 0.2 - 0.5 * np.clip(y, 0, 0.14)
    return np.where(y < 0.14, lip, np.maximum(body, 0.13 + 0.06 * np.clip((y - 0.9) / 0.1, 0, 1)))


def _tall(y: F64) -> F64:
    return np.asarray(0.19 + 0.06 * np.cos(2 * np.pi * y) + 0.05 * y)


def _round_pot(y: F64) -> F64:
    body = np.sqrt(np.clip(0.46**2 - ((y - 0.58) * 0.95) ** 2, 0, None))
    return np.where(y < 0.16, 0.2 + 0.25 * (0.16 - y), np.maximum(body, 0.12))


VASES: tuple[tuple[Callable[[F64], F64], Colour], ...] = (
    (_amphora, (58, 120, 205)),
    (_tall, (225, 225, 232)),
    (_round_pot, (216, 96, 70)),
)


def vase(number: int) -> U8:
    """One of the three vases of `VASES`, upright."""
    profile, colour = VASES[number]
    return revolve(profile, colour)


def flower_vase(number: int, blooms: Sequence[U8]) -> U8:
    """A vase with three flowers standing in it; `blooms` are RGBA pictures with stems."""
    canvas = Image.new("RGBA", (256, 256), (0, 0, 0, 0))
    for bloom, angle, x in zip(blooms, (24, -24, 0), (34, 94, 64), strict=True):
        picture = Image.fromarray(bloom).resize((128, 128), Image.Resampling.LANCZOS)
        canvas.alpha_composite(picture.rotate(angle, Image.Resampling.BICUBIC), (x, 8 if angle else 0))
    body = Image.fromarray(vase(number)).resize((150, 150), Image.Resampling.LANCZOS)
    canvas.alpha_composite(body, (53, 104))
    return np.asarray(canvas)


def ball(first: Colour, second: Colour, *, stripes: int) -> U8:
    """A ball with `stripes` broad rings of a second colour."""
    edges = np.linspace(0, 1, 2 * stripes + 2)
    rings = [(float(edges[2 * i + 1]), float(edges[2 * i + 2]), second) for i in range(stripes)]
    picture = Image.fromarray(
        revolve(lambda y: np.sqrt(np.clip(0.25 - (y - 0.5) ** 2, 0, None)), first, bands=rings)
    )
    return np.asarray(picture.rotate(28, Image.Resampling.BICUBIC))


def mug(colour: Colour) -> U8:
    """A straight mug with a handle on the right."""
    canvas = Image.new("RGBA", (256, 256), (0, 0, 0, 0))
    dark = tuple(int(channel * 0.8) for channel in colour)
    ImageDraw.Draw(canvas).ellipse((128, 74, 232, 190), outline=(*dark, 255), width=24)
    body = revolve(lambda y: np.where(y > 0.93, 0.36 - (y - 0.93), 0.37) + 0 * y, colour)
    canvas.alpha_composite(Image.fromarray(body).resize((220, 216)), (0, 30))
    ImageDraw.Draw(canvas).ellipse((29, 14, 191, 58), fill=(*dark, 255), outline=(*colour, 255), width=8)
    return np.asarray(canvas)


def draw_solid(name: str, blooms: Callable[[str], U8]) -> U8:
    """Draw a sprite by name ('bench-1', 'vase-2', ...); `blooms` yields flower pictures.

    Raises:
        KeyError: no solid has that name.
    """
    makers: dict[str, Callable[[], U8]] = {
        "bench-1": lambda: bench(yaw=-0.45, wood=(176, 112, 62), metal=(74, 78, 90)),
        "bench-2": lambda: bench(yaw=0.5, wood=(150, 92, 54), metal=(60, 60, 66), slats=4),
        "bench-3": lambda: bench(yaw=0.0, wood=(190, 132, 80), metal=(84, 84, 92)),
        "vase-1": lambda: vase(0),
        "vase-2": lambda: vase(1),
        "flower-vase-1": lambda: flower_vase(0, [blooms("tulip")] * 3),
        "flower-vase-2": lambda: flower_vase(1, [blooms("rose")] * 3),
        "flower-vase-3": lambda: flower_vase(2, [blooms("sunflower")] * 3),
        "ball-1": lambda: ball((220, 60, 60), (240, 240, 240), stripes=2),
        "ball-2": lambda: ball((66, 140, 230), (66, 140, 230), stripes=1),
        "ball-3": lambda: ball((250, 200, 60), (70, 160, 220), stripes=1),
        "mug-1": lambda: mug((70, 150, 210)),
        **HOUSEHOLD,
    }
    return makers[name]()
