"""Painters that need no prompt: floors that a model must beat, and ceilings that it cannot."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from retouch.engine.hole import spread_colors
from retouch.errors import MissingExtra
from retouch.evaluate.cases import Case
from retouch.evaluate.metrics import composite, ring
from retouch.imaging.morphology import crop
from retouch.models.bundle import ModelBundle
from retouch.models.vae import seen_by_decoder
from retouch.opened import open_pictures
from retouch.placing import place_of
from retouch.prepare import settle
from retouch.request import InpaintRequest, Limits

U8 = NDArray[np.uint8]
_ANYTHING = "anything"  # whatever a case asks: with an empty prompt some models are not asked at all


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
    """Shows the truth after the checkpoint's own VAE: as sharp as its fills can get.

    What is encoded is the crop around the hole, at the model's size, as for a fill: of a picture as a whole a VAE
    keeps the less of a thing, the smaller the thing is in it. (Where a fill's thing would get a part of a slender
    hole, the truth still has all of it.) Its seam is corrected as a fill's.
    """

    name = "VAE round trip"

    def __init__(self, bundle: ModelBundle) -> None:
        self._bundle = bundle

    def paint(self, cases: Sequence[Case]) -> list[U8]:
        """Return truths whose holes went through the encoder's mean and the decoder."""
        return [self._painted(case) for case in cases]

    def _painted(self, case: Case) -> U8:
        asked = InpaintRequest(_ANYTHING, case.truth, case.mask, seed=case.seed, safety="off")
        request = settle(asked, self._bundle, Limits())
        opened = open_pictures(request, Limits())
        place = place_of(opened, self._bundle, is_hole_hidden=False, check=lambda: None)
        hole = torch.from_numpy(place.region.apply_mask(place.hole)).float()[None, None]
        decoded = self._round_trip(place.image(is_hole_hidden=False)[None], hole)[0]
        part = place.part()
        assert request.seam is not None
        fill = place.fill((decoded / 2 + 0.5).clamp(0, 1), part, seam=request.seam)
        painted = case.truth.copy()
        crop(painted, part)[:] = np.rint(fill.clip(0, 1) * 255).astype(np.uint8)
        return composite(painted, case.truth, case.mask)

    @torch.inference_mode()
    def _round_trip(self, image: torch.Tensor, hole: torch.Tensor) -> torch.Tensor:
        vae, device, dtype = self._bundle.vae, self._bundle.device, self._bundle.vae_dtype
        image, hole = image.to(device, dtype), hole.to(device, dtype)
        encoded = vae.encode(image)
        # A tiny VAE has no posterior.
        latents = encoded.latents if hasattr(encoded, "latents") else encoded.latent_dist.mean
        decoded: torch.Tensor = vae.decode(latents, **seen_by_decoder(vae, image, hole)).sample
        return decoded.float().cpu()


def _opencv() -> Any:
    try:
        import cv2
    except ImportError as error:
        raise MissingExtra(
            "the classical baselines need OpenCV", hint="pip install 'retouch[evaluate]'"
        ) from error
    return cv2
