"""The plan: all that the engine needs to repaint one picture, without a word about who asked."""

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Literal

import torch

from retouch.engine.hole import masked_image
from retouch.errors import DeadlineExceeded, InvalidField, MaskSizeError
from retouch.prompts import PromptSyntax
from retouch.request import MAX_SEED, LatentMask


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """One picture to denoise, with its own prompt, sampler, steps, guidance and seed.

    Attributes:
        prompt: what the repainted part shall show.
        negative_prompt: what it shall not show; unused where guidance is off.
        image: (3, H, W) fp32 in [-1, 1], on the CPU.
        mask: (1, H, W) fp32, 0 = keep, 1 = repaint.
        num_inference_steps: denoising steps of a whole run, at strength 1.
        guidance_scale: classifier-free guidance; off at 1 and below.
        strength: [0, 1], the part of the run that is made; at 0 `image` is the result, whatever its sides.
        seed: 0..2**32 - 1; every draw comes from it.
        scheduler: a name that `resolve_sampler` knows; None is the checkpoint's own.
        latent_mask: which latent cells are repainted.
        masked_content: what latents the hole has before noise is added: those of `image`, noise or nothing.
        prompt_syntax: how both prompts are read.
        clip_skip: last layers of the text encoder that are left out, below their number.
        deadline: a value of the engine's clock after which the work is given up; None waits for ever.
        reference: the numbers of diffusers' pipeline: posterior samples, its order of draws, its truncations.
        is_background: it waits for all who are not, and shares no call with them.
        batch_key: opaque; only plans of equal keys (and shapes) share a call. Adapters and extra conditioning
            belong in it.
    """

    prompt: str
    negative_prompt: str
    image: torch.Tensor
    mask: torch.Tensor
    num_inference_steps: int
    guidance_scale: float
    strength: float
    seed: int
    scheduler: str | None
    latent_mask: LatentMask
    masked_content: Literal["original", "noise", "zeros"]
    prompt_syntax: PromptSyntax = "plain"
    clip_skip: int = 0
    deadline: float | None = None
    reference: bool = False
    is_background: bool = False
    batch_key: Hashable = ()

    def __post_init__(self) -> None:
        if self.image.ndim != 3 or self.image.shape[0] != 3 or self.image.dtype != torch.float32:
            raise InvalidField(
                "image", f"must be (3, H, W) fp32, not {tuple(self.image.shape)} {self.image.dtype}"
            )
        if self.mask.shape != (1, *self.image.shape[1:]) or self.mask.dtype != torch.float32:
            raise MaskSizeError(f"mask is {tuple(self.mask.shape)}, image is {tuple(self.image.shape)}")
        if self.num_inference_steps < 1:
            raise InvalidField("num_inference_steps", f"is {self.num_inference_steps}, must be at least 1")
        if not 0.0 <= self.strength <= 1.0:
            raise InvalidField("strength", f"is {self.strength}, must be 0 to 1")
        if not 0 <= self.seed <= MAX_SEED:
            raise InvalidField("seed", f"is {self.seed}, must be 0 to {MAX_SEED}")

    @property
    def masked_image(self) -> torch.Tensor:
        """Return (3, H, W) with the hole at 0."""
        return masked_image(self.image, self.mask)

    @property
    def size_bytes(self) -> int:
        """Return the memory of its pictures while it waits; at strength 0 its result is one of them."""
        images = 2 if self.strength == 0 else 1
        return images * self.image.nbytes + self.mask.nbytes


def too_late(deadline: float | None, now: float) -> DeadlineExceeded | None:
    """Return the error of work whose deadline has passed, both on the engine's clock; None before."""
    if deadline is None or now <= deadline:
        return None
    return DeadlineExceeded("the deadline passed before the picture was done")
