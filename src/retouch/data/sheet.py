"""A contact sheet of scenes: pictures, mask outlines, captions."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from retouch.data.compose import Scene, SceneComposer

_TEXT_LINES = 2
_LINE_PX = 12


def outline(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the mask's inner border, one pixel wide; the picture's own edge is none."""
    padded = np.pad(mask, 1, mode="edge")
    neighbours = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    return mask & ~neighbours


def contact_sheet(scenes: Sequence[Scene], *, columns: int = 10) -> Image.Image:
    """Lay scenes out in a grid, each with its caption below."""
    side = scenes[0].image.shape[0]
    cell = max(side, 96)
    high = cell + _TEXT_LINES * _LINE_PX + 6
    rows = -(-len(scenes) // columns)
    sheet = Image.new("RGB", (columns * (cell + 4), rows * high), "white")
    draw = ImageDraw.Draw(sheet)
    for number, scene in enumerate(scenes):
        x, y = number % columns * (cell + 4), number // columns * high
        marked = scene.image.copy()
        marked[outline(scene.mask)] = 255
        sheet.paste(Image.fromarray(marked).resize((cell, cell)), (x, y))
        lines = textwrap.wrap(scene.caption, max(cell // 6, 8))[:_TEXT_LINES]
        for i, line in enumerate(lines):
            draw.text((x, y + cell + 1 + i * _LINE_PX), line, fill="black")
    return sheet


def sample_sheet(composer: SceneComposer, count: int, *, seed: int = 0, columns: int = 10) -> Image.Image:
    """Compose `count` scenes (seeds `seed`, `seed` + 1, ...) and lay them out."""
    scenes = [composer.scene(np.random.default_rng(seed + i)) for i in range(count)]
    return contact_sheet(scenes, columns=min(columns, count))
