"""What may be shown of a picture that is still under way."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from retouch.imaging.morphology import Box, Mask, bounding_box, crop
from retouch.imaging.picture import Picture
from retouch.imaging.region import Region
from retouch.imaging.resample import cover_resize
from retouch.imaging.to_pillow import to_pillow
from retouch.request import SafetyPolicy
from retouch.safety.checkers import ImageChecker, is_local
from retouch.safety.judge import inspect
from retouch.safety.policy import blurred
from retouch.safety.views import Exhibit

PREVIEW_SIDE_PX = 512

Pixels8 = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class PreviewGround:
    """The kept pixels of a picture at the size of its previews; made once, and used for each of them.

    Attributes:
        picture: 8 bits, scaled down.
        mask: (h, w), True = repainted; of the source's pixels, none that is repainted is missing.
        box: of the scaled picture, around the mask.
        source: left, top, right, bottom of what lies in `box`, as shares of the canvas.
        alpha_is_mask: the repainted part becomes opaque.
    """

    picture: Picture
    mask: Mask
    box: Box
    source: tuple[float, float, float, float]
    alpha_is_mask: bool

    @classmethod
    def of(
        cls,
        picture: Picture,
        mask: Mask,
        region: Region,
        *,
        alpha_is_mask: bool = False,
        side_px: int = PREVIEW_SIDE_PX,
    ) -> Self:
        """Scale a picture for its previews; one that is small enough keeps its size.

        Args:
            mask: (H, W), True = repaint; some are, and they lie in the region.
            region: what the model sees of the picture.
            side_px: the longest side of a preview.
        """
        scale = min(1.0, side_px / max(picture.height, picture.width))
        height, width = (max(1, round(side * scale)) for side in (picture.height, picture.width))
        small = _scaled(picture, height, width)
        covered = cover_resize(mask, height, width)
        box = bounding_box(covered)
        assert box is not None
        across, down = picture.width / width, picture.height / height
        left, top, right, bottom = box[0] * across, box[1] * down, box[2] * across, box[3] * down
        source = (
            *_share(left, top, region),
            *_share(right, bottom, region),
        )
        return cls(small, covered, box, source, alpha_is_mask)

    def shown(self, rough: NDArray[np.float32], checkers: Sequence[ImageChecker], policy: SafetyPolicy) -> Picture:
        """Lay a rough picture of the canvas into the hole, and return what may be shown of it.

        Under any policy but `off` the checkers of this machine judge it as it would be seen; services, which are
        paid by the call, are not asked. Where they refuse it, where one of them fails and where there is none, the
        hole shows a grid of 8 by 8 mean colours. Kept pixels stay as they are.

        Args:
            rough: (3, h, w) in [0, 1], of the canvas at any scale: `Progress.preview()`.
        """
        fill = self._fill(rough)
        shown = self._with(fill)
        if policy == "off":
            return shown
        local = [checker for checker in checkers if is_local(checker)]
        if inspect(Exhibit(shown, self.mask), local, policy).decision == "pass":
            return shown
        return self._with(np.asarray(blurred(Picture(fill)).pixels, np.uint8))

    def _fill(self, rough: NDArray[np.float32]) -> Pixels8:
        """Return (H, W, 3) of the box."""
        finite = np.nan_to_num(np.asarray(rough, np.float32), nan=0.5, posinf=1.0, neginf=0.0)
        image = Image.fromarray(np.rint(finite.clip(0, 1) * 255).astype(np.uint8).transpose(1, 2, 0))
        height, width = finite.shape[1:]
        source = tuple(share * side for share, side in zip(self.source, (width, height) * 2, strict=True))
        size = (self.box[2] - self.box[0], self.box[3] - self.box[1])
        return np.asarray(image.resize(size, Image.Resampling.BILINEAR, box=source))

    def _with(self, fill: Pixels8) -> Picture:
        """Return the picture with the box painted where the mask is."""
        inside = crop(self.mask, self.box)
        grey = self.picture.pixels.ndim == 2
        painted = np.asarray(Image.fromarray(fill).convert("L")) if grey else fill
        pixels = self.picture.pixels.copy()
        crop(pixels, self.box)[inside] = painted[inside]
        if self.picture.alpha is None or not self.alpha_is_mask:
            return self.picture.with_pixels(pixels)
        alpha = np.where(self.mask, np.uint8(255), self.picture.alpha)
        return replace(self.picture, pixels=pixels, alpha=alpha)


def _scaled(picture: Picture, height: int, width: int) -> Picture:
    """Return the picture at 8 bits and another size, without what a preview has no use for."""
    # Pillow weighs colours by their alpha, so that what nobody sees does not bleed into what is seen.
    samples = np.asarray(to_pillow(picture).resize((width, height), Image.Resampling.BOX))
    if picture.alpha is None:
        return Picture(samples, icc=picture.icc)
    colours = samples[..., 0] if picture.pixels.ndim == 2 else samples[..., :3]
    return Picture(np.ascontiguousarray(colours), alpha=np.ascontiguousarray(samples[..., -1]), icc=picture.icc)


def _share(x: float, y: float, region: Region) -> tuple[float, float]:
    """Return where a point of the picture lies on the canvas, as shares of its width and height."""
    (left, top), (box_height, box_width) = region.box[:2], region.box_size
    across = region.offset[1] + (x - left) * region.scaled[1] / box_width
    down = region.offset[0] + (y - top) * region.scaled[0] / box_height
    height, width = region.canvas
    return min(max(across / width, 0.0), 1.0), min(max(down / height, 0.0), 1.0)
