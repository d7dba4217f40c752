"""How a scene shows a sprite."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retouch.data.drawing import turn_hue
from retouch.data.sprites import Sprite

U8 = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Look:
    """A sprite in a named colour or its own, mirrored or not, its hues turned by an angle in radians."""

    sprite: Sprite
    colour: str | None
    is_mirrored: bool = False
    turned: float = 0.0

    def painted(self, *, shade: int = 0) -> U8:
        """Return the pixels (H, W, 4), with straight alpha; `shade` is 0..8, of a named colour."""
        rgba = self.sprite.painted(self.colour, variant=shade)
        rgba = rgba[:, ::-1] if self.is_mirrored else rgba
        return turn_hue(rgba, self.turned) if self.turned else rgba
