"""A hole in a picture, as the model is given it, and the way back for what was painted."""

from dataclasses import dataclass, replace

import numpy as np
import torch

from retouch.imaging.canvas import canvas_of
from retouch.imaging.choices import SeamMode
from retouch.imaging.colors import RING_PX, match_colors
from retouch.imaging.morphology import Box, Mask, bounding_box, crop
from retouch.imaging.picture import Picture
from retouch.imaging.region import Region
from retouch.imaging.resample import Pixels
from retouch.imaging.seam import correct_seam

_BESIDE_PX = 1
"""Around the hole, for the correction of its seam."""


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """What is painted, and where.

    Attributes:
        picture: what shows around the hole.
        hole: (H, W) of its size, True = repaint; some pixel is marked.
        region: what is seen of both; the hole lies in it.
    """

    picture: Picture
    hole: Mask
    region: Region

    def image(self, *, is_hole_hidden: bool) -> torch.Tensor:
        """Return the canvas, (3, h, w) fp32 in [-1, 1]; a hidden hole is mid-grey in it."""
        canvas = canvas_of(self.picture, self.region, hidden=self.hole if is_hole_hidden else None)
        return torch.from_numpy(canvas).permute(2, 0, 1).contiguous() * 2 - 1

    def unknown(self) -> torch.Tensor:
        """Return (1, h, w), 1 where the canvas shows the hole, or what nobody has seen: clear pixels."""
        alpha = self.picture.alpha
        unknown = self.hole if alpha is None else self.hole | (alpha == 0)
        return torch.from_numpy(self.region.apply_mask(unknown)).float()[None]

    def part(self, *, with_ring: bool = False) -> Box:
        """Return the box of the hole inside the region, with the kept pixels that a fill is matched to.

        In a large picture that is far less than the region.

        Args:
            with_ring: those for the matching of colours, too.
        """
        left, top, right, bottom = self.region.box
        marked = bounding_box(self.hole)
        assert marked is not None
        margin = RING_PX if with_ring else _BESIDE_PX
        return (
            max(left, marked[0] - margin),
            max(top, marked[1] - margin),
            min(right, marked[2] + margin),
            min(bottom, marked[3] + margin),
        )

    def fill(self, image: torch.Tensor, part: Box, *, seam: SeamMode, matches_colors: bool = False) -> Pixels:
        """Return what was painted as it lies in a part of the picture, (H, W, 3) around [0, 1].

        Args:
            image: (3, h, w) in [0, 1], of the canvas.
            part: as `part` says; with the ring, where colours are matched.
        """
        painted = self.region.undo(np.ascontiguousarray(image.permute(1, 2, 0).numpy()), part)
        if seam == "off" and not matches_colors:
            return painted
        shown = replace(self.picture, pixels=crop(self.picture.pixels, part), alpha=None).to_unit()
        hole, known = crop(self.hole, part), self._known(part)
        if matches_colors:
            painted = match_colors(painted, shown, hole, known=known)
        if seam != "off":
            painted = correct_seam(painted, shown, hole, known & ~hole, mode=seam)
        return painted

    def _known(self, part: Box) -> Mask:
        """Mark what anybody has seen of a part: colours under full transparency are nobody's picture."""
        if self.picture.alpha is None:
            return np.ones_like(crop(self.hole, part))
        return crop(self.picture.alpha, part) > 0
