"""From a mask picture to the pixels that are repainted: polarity is settled here, and True = repaint after it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retouch.errors import MaskEmpty, MaskError, MaskSizeError
from retouch.imaging.choices import LatentMask, Polarity
from retouch.imaging.holes import fill_holes
from retouch.imaging.luma import luminance
from retouch.imaging.morphology import Mask, grow
from retouch.imaging.picture import Picture, Samples

_GREY_BAND = (0.2, 0.8)
_BLOCK_ROWS = 64
_MOSTLY = 0.95


@dataclass(frozen=True, slots=True)
class MaskOptions:
    """How a mask picture is read.

    Attributes:
        polarity: which pixels are repainted.
        threshold: (0, 1]; a sample at or above this share of the peak counts as marked.
        grow_px: pixels by which the mask grows on all sides, round.
        fill_holes: repaint what the mask encloses, too (before it grows).
    """

    polarity: Polarity
    threshold: float
    grow_px: int
    fill_holes: bool


@dataclass(frozen=True, slots=True, eq=False)
class PreparedMask:
    """A mask as it is used, with what the report needs to know of its source.

    Attributes:
        pixels: (H, W), True = repaint; at least one is.
        options: how it was read.
        grey_share: share of its samples that are far from both ends, 0..1.
        hint: what looks wrong with the polarity, or "".
    """

    pixels: Mask
    options: MaskOptions
    grey_share: float
    hint: str


def prepare_mask(source: Picture, *, height: int, width: int, options: MaskOptions) -> PreparedMask:
    """Read a mask picture for a picture of the given size, as the options say.

    Args:
        source: the decoded mask; or the picture itself, where its transparency is the mask.
        height, width: of the picture after EXIF orientation.

    Raises:
        MaskSizeError: the mask has another size; it is never resized in silence.
        MaskError: the polarity needs an alpha channel, and there is none.
        MaskEmpty: no pixel is marked.
    """
    if (source.height, source.width) != (height, width):
        raise MaskSizeError(
            f"the mask is {source.width}x{source.height}, the picture {width}x{height}",
            hint="draw the mask on the picture itself, or resize it to the same size",
        )
    strength, hint = mask_strength(source, options.polarity)
    marked = strength >= options.threshold * source.peak
    if not marked.any():
        hint = hint or _empty_hint(source, strength, options)
        raise MaskEmpty("the mask marks no pixel for repainting", hint=hint)
    if options.fill_holes:
        marked = fill_holes(marked)
    if options.grow_px:
        marked = grow(marked, options.grow_px)
    low, high = (share * source.peak for share in _GREY_BAND)
    grey = np.count_nonzero((strength > low) & (strength < high)) / strength.size
    return PreparedMask(marked, options, grey, hint)


def mask_strength(source: Picture, polarity: Polarity) -> tuple[Samples, str]:
    """Return how strongly each pixel is marked, (H, W) in 0..peak, and what looks wrong with the polarity.

    White and black are judged by luminance. An alpha channel that is the same everywhere says nothing and is
    ignored; one that varies weakens what it makes transparent, so that strokes on a clear canvas work.

    Raises:
        MaskError: the polarity is `transparent` or `opaque`, and there is no alpha channel.
    """
    peak = source.pixels.dtype.type(source.peak)
    if polarity in ("transparent", "opaque"):
        if source.alpha is None:
            raise MaskError(
                f"the mask has no transparency, which the polarity {polarity!r} needs",
                hint="save it with an alpha channel, or use `mask_polarity=white` or black",
            )
        return (source.alpha if polarity == "opaque" else peak - source.alpha), ""
    light = luminance(source.pixels)
    strength = light if polarity == "white" else peak - light
    if source.alpha is None or _is_uniform(source.alpha):
        return strength, ""
    return _weakened(strength, source.alpha), _alpha_hint(light, source.alpha)


def _alpha_hint(light: Samples, alpha: Samples) -> str:
    """Return what looks wrong where white or black is judged beside an alpha channel that varies.

    An opaque border is a picture with a hole in it, a clear one a layer that was drawn on.
    """
    probable = "transparent" if _is_mostly_opaque(_border(alpha)) else "opaque"
    if _is_uniform(light):
        meant = f"the polarity transparent or opaque is probably meant (`mask_polarity={probable}`)"
        return f"only the mask's transparency varies: {meant}"
    if probable == "transparent":
        return "the mask has transparent parts in an opaque picture: `mask_polarity=transparent` repaints those"
    return ""


def _is_mostly_opaque(alpha: Samples) -> bool:
    return bool(np.mean(alpha > np.iinfo(alpha.dtype).max // 2) > _MOSTLY)


def _border(samples: Samples) -> Samples:
    return np.concatenate((samples[0], samples[-1], samples[:, 0], samples[:, -1]))


def _weakened(strength: Samples, alpha: Samples) -> Samples:
    """Return strength times alpha, as shares of the peak, rounded."""
    peak = np.uint32(np.iinfo(strength.dtype).max)
    result = np.empty_like(strength)
    for top in range(0, len(strength), _BLOCK_ROWS):
        rows = slice(top, top + _BLOCK_ROWS)
        result[rows] = (strength[rows].astype(np.uint32) * alpha[rows] + peak // 2) // peak
    return result


def latent_mask(mask: Mask, mode: LatentMask, factor: int) -> Mask:
    """Mark the latent cells that are repainted, by the rule that is asked for.

    Arguments, result and errors are those of `cover_mask`.
    """
    return cover_mask(mask, factor) if mode == "cover" else nearest_mask(mask, factor)


def cover_mask(mask: Mask, factor: int) -> Mask:
    """Mark every latent cell that holds at least one marked pixel.

    Args:
        mask: (H, W), True = repaint; H and W divide by `factor`.
        factor: pixels per latent cell, along one side.
    Returns:
        (H / factor, W / factor).

    Raises:
        MaskSizeError: a side does not divide by `factor`.
    """
    # The maximum, not nearest: a stroke thinner than a cell must not vanish.
    return np.asarray(_cells(mask, factor).any(axis=(1, 3)))


def nearest_mask(mask: Mask, factor: int) -> Mask:
    """Mark every latent cell whose first pixel, top left, is marked: what the field's weights were trained with.

    Arguments, result and errors are those of `cover_mask`.
    """
    return _cells(mask, factor)[:, 0, :, 0].copy()


def _cells(mask: Mask, factor: int) -> NDArray[np.bool_]:
    height, width = mask.shape
    if height % factor or width % factor:
        raise MaskSizeError(f"the mask is {width}x{height}", hint=f"pad it to a multiple of {factor}")
    return mask.reshape(height // factor, factor, width // factor, factor)


def _is_uniform(samples: Samples) -> bool:
    return bool((samples == samples.flat[0]).all())


def _empty_hint(source: Picture, strength: Samples, options: MaskOptions) -> str:
    polarity, strongest = options.polarity, int(strength.max())
    drawn = source.alpha is not None and not _is_uniform(source.alpha)
    if drawn and polarity in ("white", "black"):
        return f"nothing drawn on it is {polarity}: `mask_polarity=opaque` repaints whatever is drawn"
    if strongest == 1 and polarity == "white":
        return f"it holds 0 and 1 where white is {source.peak}: multiply it, or give booleans"
    if strongest:
        return (
            f"with the polarity {polarity!r}, {polarity} pixels are repainted; the strongest reaches "
            f"{strongest / source.peak:.2f}, `mask_threshold` is {options.threshold}"
        )
    return f"with the polarity {polarity!r}, {polarity} pixels are repainted; there are none"
