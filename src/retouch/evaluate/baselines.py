"""Painters that need no prompt: floors that a model must beat, and ceilings that it cannot."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from retouch.engine.hole import spread_colors
from retouch.errors import MissingExtra
from retouch.evaluate.cases import Case
from retouch.evaluate.metrics import composite, ring
from retouch.models.vae import load_vae, seen_by_decoder

U8 = NDArray[np.uint8]


class GreyPainter:
    """Does nothing: leaves the hole grey. What the judge still names right, the mask's outline gave away."""

    name = "grey fill"

    def paint(self, cases: Sequence[Case]) -> list[U8]:
        """Return the pictures as painters are shown them."""
        return [case.visible for case in cases]


class RingPainter:
    """Paints the hole flat, in the mean colour of the ring around it: right on average, and nothing else."""

    name = "mean of the ring"

    def paint(self, cases: Sequence[Case]) -> list[U8]:
        """Return flat holes; a mask over everything stays grey."""
        return [case.visible if case.is_whole else self._fill(case) for case in cases]

    def _fill(self, case: Case) -> U8:
        picture = case.visible
        picture[case.mask] = np.rint(picture[ring(case.mask)].mean(axis=0)).astype(np.uint8)
        return picture


class SpreadPainter:
    """Spreads the colours around the hole into it (`spread_colors`): what a removal is worth without texture."""

    name = "colours spread inward"

    def paint(self, cases: Sequence[Case]) -> list[U8]:
        """Return smooth holes; a mask over everything stays grey."""
        return [case.visible if case.is_whole else self._fill(case) for case in cases]

    def _fill(self, case: Case) -> U8:
        known = torch.from_numpy(case.visible).permute(2, 0, 1).float()
        spread = spread_colors(known, torch.from_numpy(case.mask)[None].float())
        filled = spread.round().clamp(0, 255).to(torch.uint8).permute(1, 2, 0).numpy()
        return composite(filled, case.visible, case.mask)


class TruthPainter:
    """Shows the real composite: the judge's own ceiling."""

    name = "truth"

    def paint(self, cases: Sequence[Case]) -> list[U8]:
        """Return the truths."""
        return [case.truth for case in cases]


class DiffusionFreePainter:
    """OpenCV's classical inpainting: Telea 2004 (fast marching), or Navier-Stokes (Bertalmio et al. 2001).

    Raises:
        MissingExtra: OpenCV is not installed.
    """

    def __init__(self, method: Literal["telea", "navier-stokes"], *, radius_px: float = 3) -> None:
        self.name = f"OpenCV {method}"
        self._method, self._radius_px = method, radius_px
        self._cv2 = _opencv()

    def paint(self, cases: Sequence[Case]) -> list[U8]:
        """Return pictures continued from the hole's border; a mask over everything stays grey."""
        return [case.visible if case.is_whole else self._fill(case) for case in cases]

    def _fill(self, case: Case) -> U8:
        flag = self._cv2.INPAINT_TELEA if self._method == "telea" else self._cv2.INPAINT_NS
        hole = case.mask.astype(np.uint8) * 255
        filled = self._cv2.inpaint(case.visible, hole, self._radius_px, flag)
        return composite(np.asarray(filled, dtype=np.uint8), case.visible, case.mask)


class RoundTripPainter:
    """Shows the truth after the checkpoint's own VAE: as sharp as its fills can get."""

    name = "VAE round trip"

    def __init__(self, vae: Any) -> None:
        self._vae = vae.eval()

    @classmethod
    def load(cls, folder: Path) -> "RoundTripPainter":
        """Load the VAE of a checkpoint in diffusers' folder format.

        Raises:
            ModelNotFound: the folder has no VAE.
        """
        return cls(load_vae(folder))

    @torch.inference_mode()
    def paint(self, cases: Sequence[Case]) -> list[U8]:
        """Return truths whose holes went through the encoder's mean and the decoder."""
        return [composite(self._round_trip(case.truth, case.mask), case.truth, case.mask) for case in cases]

    def _round_trip(self, picture: U8, mask: NDArray[np.bool_]) -> U8:
        image = (
            torch.from_numpy(picture.copy()).permute(2, 0, 1)[None].float() / 127.5 - 1
        )  # (1, 3, H, W) in [-1, 1]
        latents = self._vae.encode(image).latent_dist.mean
        kept = seen_by_decoder(self._vae, image, torch.from_numpy(mask)[None, None].float())
        decoded = self._vae.decode(latents, **kept).sample[0].permute(1, 2, 0)
        return np.asarray(np.rint(((decoded + 1) * 127.5).clamp(0, 255).numpy()), dtype=np.uint8)


def _opencv() -> Any:
    try:
        import cv2
    except ImportError as error:
        raise MissingExtra(
            "the classical baselines need OpenCV", hint="pip install 'retouch[evaluate]'"
        ) from error
    return cv2
