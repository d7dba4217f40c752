"""The lookup that needs no model: a stored picture of what was asked, pasted over a plain fill."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from retouch.data.colour import COLOURS
from retouch.data.drawing import to_bytes
from retouch.data.sprites import SpritePack
from retouch.evaluate.baselines import DiffusionFreePainter
from retouch.evaluate.cases import Case
from retouch.evaluate.metrics import composite, mask_box
from retouch.imaging.morphology import Box

U8 = NDArray[np.uint8]
Choice = Literal["picture", "colour"]
_NAMES: dict[Choice | None, str] = {
    None: "sprite pasted",
    "picture": "any sprite pasted",
    "colour": "sprite pasted in any colour",
}
_ROOM = 0.9  # of the hole's box, as much as the object may fill
_WHOLE = 0.66  # of the picture's side, where all of it is repainted


class PastePainter:
    """Pastes a training picture of the asked object, in the asked colour, over Telea's fill.

    What a model scores above it is more than a lookup; what it scores below is less. Place and size change by a
    few per cent with the case's seed.

    Args:
        data_dir: made by `retouch data build`.
        choice: what the seed chooses where the case leaves it open: one of all training pictures of the concept,
            or the colour of the first; None is always the first in its own.
    """

    def __init__(self, data_dir: Path, *, choice: Choice | None = None) -> None:
        self.name = _NAMES[choice]
        self._pack = SpritePack.open(data_dir)
        self._sprites = self._pack.by_concept("train")
        self._choice = choice
        self._ground = DiffusionFreePainter("telea")

    def paint(self, cases: Sequence[Case]) -> list[U8]:
        """Return one picture for every case; where nothing is asked, Telea's fill alone."""
        grounds = self._ground.paint(cases)
        return [self._pasted(ground, case) for ground, case in zip(grounds, cases, strict=True)]

    def _pasted(self, ground: U8, case: Case) -> U8:
        numbers = self._sprites.get(case.concept or "", [])
        if not numbers:
            return ground
        rng = np.random.default_rng(case.seed)
        number = numbers[int(rng.integers(len(numbers)))] if self._choice == "picture" else numbers[0]
        colour = case.colour
        if colour is None and self._choice == "colour":
            colour = COLOURS[int(rng.integers(len(COLOURS)))]
        sprite = self._pack.sprite(number).painted(colour, variant=int(rng.integers(0, 9)))
        return composite(_laid(ground, sprite, _frame(case), rng), case.visible, case.mask)


def _frame(case: Case) -> Box:
    """Return the box that the object fills: the hole's own, or the middle of a picture that is all hole."""
    if not case.is_whole:
        return mask_box(case.mask)
    height, width = case.mask.shape
    left, top = round(width * (1 - _WHOLE) / 2), round(height * (1 - _WHOLE) / 2)
    return left, top, width - left, height - top


def _laid(ground: U8, sprite: U8, frame: Box, rng: np.random.Generator) -> U8:
    """Lay a sprite (h, w, 4) over the ground (H, W, 3), as large as the frame lets it be."""
    left, top, right, bottom = frame
    height, width = sprite.shape[:2]
    scale = _ROOM * min((right - left) / width, (bottom - top) / height) * float(rng.uniform(0.95, 1.0))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    drift = rng.uniform(-0.03, 0.03, 2) * (right - left, bottom - top)
    x, y = (
        round((a + b - s) / 2 + d) for a, b, s, d in zip((left, top), (right, bottom), size, drift, strict=True)
    )
    layer = Image.new("RGBa", (ground.shape[1], ground.shape[0]))
    layer.paste(Image.fromarray(sprite).convert("RGBa").resize(size, Image.Resampling.BOX), (x, y))
    premultiplied = np.asarray(layer, dtype=np.float32)
    alpha = premultiplied[..., 3:] / 255
    below = ground.astype(np.float32) * (1 - alpha)
    return to_bytes(np.asarray(premultiplied[..., :3] + below, dtype=np.float32))
