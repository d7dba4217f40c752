"""`MaskReport`: how a mask was read, and what about it deserves a second look."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from retouch.imaging.choices import Polarity
from retouch.imaging.mask import PreparedMask, cover_mask, nearest_mask
from retouch.imaging.morphology import Box, Mask, bounding_box, crop, opened, widen

_OPPOSITE: dict[Polarity, Polarity] = {
    "white": "black",
    "black": "white",
    "transparent": "opaque",
    "opaque": "transparent",
}
_NEARLY_EMPTY, _NEARLY_FULL, _MOSTLY_GREY, _INVERTED = 0.0005, 0.95, 0.25, 0.6


@dataclass(frozen=True, slots=True)
class MaskReport:
    """What became of a mask.

    Attributes:
        polarity: the rule by which it was read.
        threshold: share of the peak at which a sample counts as marked.
        grow_px, fill_holes: what was done to it.
        width, height: of the mask, in pixels.
        marked_pixels: pixels that are repainted.
        coverage: their share, 0..1.
        box: left, top, right, bottom of the marked pixels; right and bottom are outside.
        latent_cells: cells of the region that the model sees; its pixels where no model is asked.
        latent_cells_cover: those that hold a pixel that the model paints: a marked one, or of a slender hole one
            where there is most room.
        latent_cells_nearest: those whose first pixel is marked.
        warnings: sentences for a person.
    """

    polarity: Polarity
    threshold: float
    grow_px: int
    fill_holes: bool
    width: int
    height: int
    marked_pixels: int
    coverage: float
    box: Box
    latent_cells: int
    latent_cells_cover: int
    latent_cells_nearest: int
    warnings: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {**asdict(self), "box": list(self.box), "warnings": list(self.warnings)}


def report_mask(prepared: PreparedMask, model_mask: Mask, *, factor: int) -> MaskReport:
    """Describe a mask.

    Args:
        prepared: at the picture's own size.
        model_mask: what of it the model paints, as it sees it (`Region.apply_mask`); its sides divide by `factor`.
        factor: pixels per latent cell, along one side.
    """
    mask, options = prepared.pixels, prepared.options
    height, width = mask.shape
    marked = int(np.count_nonzero(mask))
    box = bounding_box(mask)
    assert box is not None
    cover, nearest = cover_mask(model_mask, factor), nearest_mask(model_mask, factor)
    return MaskReport(
        polarity=options.polarity,
        threshold=options.threshold,
        grow_px=options.grow_px,
        fill_holes=options.fill_holes,
        width=width,
        height=height,
        marked_pixels=marked,
        coverage=marked / mask.size,
        box=box,
        latent_cells=cover.size,
        latent_cells_cover=int(np.count_nonzero(cover)),
        latent_cells_nearest=int(np.count_nonzero(nearest)),
        warnings=_warnings(prepared, model_mask, factor),
    )


def _warnings(prepared: PreparedMask, model_mask: Mask, factor: int) -> tuple[str, ...]:
    mask = prepared.pixels
    coverage = float(mask.mean())
    found = [prepared.hint] if prepared.hint else []
    if coverage < _NEARLY_EMPTY:
        found.append(f"the mask is nearly empty: {np.count_nonzero(mask)} of {mask.size} pixels")
    if coverage > _NEARLY_FULL:
        found.append(f"the mask is nearly full: {coverage:.1%} of the picture is repainted")
    if prepared.grey_share > _MOSTLY_GREY:
        found.append(f"the mask is mostly grey: {prepared.grey_share:.0%} of it is neither clearly on nor off")
    if _looks_inverted(mask, coverage):
        found.append(
            "the mask looks inverted: all around the border is repainted, an island inside is kept "
            f"(`mask_polarity={_OPPOSITE[prepared.options.polarity]}` is the other way round)"
        )
    thin = _thin_share(model_mask, factor)
    if thin > 0.5:
        found.append(
            f"{thin:.0%} of the mask is strokes thinner than a latent cell of {factor} pixels: `grow_px` helps"
        )
    return tuple(found)


def _looks_inverted(mask: Mask, coverage: float) -> bool:
    """A mask is mostly a patch away from the border: one that is all border was likely meant the other way."""
    border = np.concatenate((mask[0], mask[-1], mask[:, 0], mask[:, -1]))
    return _INVERTED < coverage < 1 and float(border.mean()) > 0.95


def _thin_share(mask: Mask, factor: int) -> float:
    """Return the share of the marked pixels, as the model sees them, that no square of a cell's size fits over."""
    box = bounding_box(mask)
    if box is None:
        return 0.0
    near = crop(mask, widen(box, 1, *mask.shape))
    return 1 - np.count_nonzero(opened(near, factor)) / np.count_nonzero(near)
