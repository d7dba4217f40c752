"""Painters: whatever fills the holes of cases, our own engine or stock diffusers."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from retouch.errors import ModelNotFound, RetouchError
from retouch.evaluate.cases import Case
from retouch.evaluate.metrics import composite

U8 = NDArray[np.uint8]


class Painter(Protocol):
    """Fills holes; `name` stands in reports."""

    name: str

    def paint(self, cases: Sequence[Case]) -> list[U8]:
        """Return one picture (H, W, 3) for every case, in order."""
        ...


@dataclass(frozen=True, slots=True)
class Sampling:
    """How a model is sampled: denoising steps and guidance, None for the checkpoint's own advice.

    `batch` is how many pictures a call of stock diffusers takes; our engine packs its calls itself. `scheduler` is
    our engine's: stock diffusers runs DDIM.
    """

    num_inference_steps: int | None = None
    guidance_scale: float | None = None
    batch: int = 8
    scheduler: str | None = None

    def settled(self, folder: Path) -> "Sampling":
        """Fill in what is None from a checkpoint folder's advice, else from the defaults of requests."""
        from retouch.models.components import read_notes
        from retouch.request import DEFAULT_GUIDANCE_SCALE, DEFAULT_NUM_INFERENCE_STEPS

        advice = read_notes(folder).recommended
        steps = self.num_inference_steps or advice.num_inference_steps or DEFAULT_NUM_INFERENCE_STEPS
        advised = DEFAULT_GUIDANCE_SCALE if advice.guidance_scale is None else advice.guidance_scale
        guidance = advised if self.guidance_scale is None else self.guidance_scale
        return replace(self, num_inference_steps=steps, guidance_scale=guidance)


DEFAULT_SAMPLING = Sampling()
_STOCK_OPTIONS: dict[str, Any] = {
    "safety_checker": None,
    "requires_safety_checker": False,
    "local_files_only": True,
}


class StockPainter:
    """Stock diffusers: `StableDiffusionInpaintPipeline` with DDIM on a checkpoint folder.

    Its fills are pasted back over the kept pixels, which stock diffusers leaves to its user.

    Raises:
        ModelNotFound: the folder is not a diffusers checkpoint.
    """

    name = "stock diffusers"

    def __init__(self, folder: Path, sampling: Sampling = DEFAULT_SAMPLING, *, device: str = "cpu") -> None:
        self._pipe = load_stock(folder).to(device, torch.float32)
        self._sampling = sampling.settled(folder)

    def paint(self, cases: Sequence[Case]) -> list[U8]:
        """Return one picture for every case; noise depends on the case's seed alone."""
        painted: list[U8] = []
        for group in _same_size_groups(cases, self._sampling.batch):
            fills = self._call(group)
            painted += [composite(fill, case.visible, case.mask) for fill, case in zip(fills, group, strict=True)]
        return painted

    def _call(self, cases: Sequence[Case]) -> list[U8]:
        from PIL import Image

        height, width = cases[0].mask.shape
        output = self._pipe(
            prompt=[case.prompt for case in cases],
            image=[Image.fromarray(case.visible) for case in cases],
            mask_image=[Image.fromarray(case.mask.astype(np.uint8) * 255) for case in cases],
            height=height,
            width=width,
            num_inference_steps=self._sampling.num_inference_steps,
            guidance_scale=self._sampling.guidance_scale,
            generator=[torch.Generator().manual_seed(case.seed) for case in cases],
            output_type="np",
        )
        return [np.asarray(np.rint(image * 255), dtype=np.uint8) for image in output.images]


class EnginePainter:
    """Our own `Inpainter`, through its public `map`; `fields` of its requests come before what a case asks."""

    def __init__(
        self, inpainter: Any, sampling: Sampling = DEFAULT_SAMPLING, *, name: str = "retouch", **fields: Any
    ) -> None:
        self.name = name
        self._inpainter = inpainter
        self._sampling = sampling
        self._fields = fields

    def paint(self, cases: Sequence[Case]) -> list[U8]:
        """Return one picture for every case.

        Raises:
            RetouchError: a request failed.
        """
        painted: list[U8] = []
        for result in self._inpainter.map(self._requests(cases), ordered=True, on_error="raise"):
            if isinstance(result, RetouchError):
                raise result
            painted.append(np.asarray(result.fills[0].picture.pixels, dtype=np.uint8))
        return painted

    def _requests(self, cases: Sequence[Case]) -> Iterator[Any]:
        from retouch.request import InpaintRequest

        for case in cases:
            yield InpaintRequest(
                prompt=case.prompt,
                image=case.visible,
                mask_image=case.mask.astype(np.uint8) * 255,
                num_inference_steps=self._sampling.num_inference_steps,
                guidance_scale=self._sampling.guidance_scale,
                scheduler=self._sampling.scheduler,
                seed=case.seed,
                safety="off",
            ).with_fields(**self._fields)


def load_stock(folder: Path) -> Any:
    """Load a diffusers folder as stock diffusers does, with DDIM made from its own scheduler config.

    Raises:
        ModelNotFound: the folder is not a diffusers checkpoint.
    """
    from diffusers import DDIMScheduler, StableDiffusionInpaintPipeline

    if not (folder / "model_index.json").exists():
        raise ModelNotFound(f"{folder} holds no model_index.json", hint="give a folder in diffusers' format")
    pipe = StableDiffusionInpaintPipeline.from_pretrained(folder, **_STOCK_OPTIONS)
    pipe.scheduler = DDIMScheduler.from_pretrained(folder / "scheduler")
    pipe.set_progress_bar_config(disable=True)
    return pipe


def _same_size_groups(cases: Sequence[Case], batch: int) -> Iterator[Sequence[Case]]:
    """Split cases into runs of at most `batch` pictures of one size."""
    start = 0
    for end in range(1, len(cases) + 1):
        is_full = end - start == batch
        if end == len(cases) or is_full or cases[end].mask.shape != cases[start].mask.shape:
            yield cases[start:end]
            start = end
