"""`ModelBundle`: a loaded checkpoint, and the facts about it that the engine plans by."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch

from retouch.imaging.choices import Continuation, SeamMode
from retouch.models.options import PredictionType
from retouch.prompts import Prompt

Kind = Literal["concat", "blend"]


@dataclass(frozen=True, slots=True)
class Recommended:
    """What the checkpoint's makers advise where a request is silent (`retouch.json` in its folder).

    `context` is for models that learnt holes in the middle of their pictures: what they want to see on each side
    of one, as a share of its longer side. Region `auto` is a crop for them. `prompt_tokens` is for text encoders
    that put something of their own behind a prompt: the most tokens, start and end included, that leave it whole.
    `seam` is the correction that suits how the model meets the kept pixels. `removal` is for models that cannot
    continue the ground as well as that can be done without them: what an empty prompt leaves in the hole, and
    one of `removal_prompts`, which say in words that nothing be there ("background").
    `variants` are for models that have several pictures of a thing, and a word for each: seed after seed adds the
    next one to a prompt that says none of them ('' adds nothing). `variants_of` are the things that these words
    are for, where they are not for all: the colours that a hat may have are no words for grass or a banana.
    """

    num_inference_steps: int | None = None
    guidance_scale: float | None = None
    scheduler: str | None = None
    context: float | None = None
    prompt_tokens: int | None = None
    seam: SeamMode | None = None
    removal: Continuation | None = None
    removal_prompts: tuple[str, ...] | None = None
    variants: tuple[str, ...] | None = None
    variants_of: tuple[str, ...] | None = None

    def is_removal(self, prompt: Prompt) -> bool:
        """Whether a prompt asks for nothing but the ground, by what the makers say."""
        said = " ".join(prompt.words.lower().split()).strip(" .,!")
        return not said or said in (self.removal_prompts or ())


@dataclass(frozen=True, slots=True, eq=False)
class ModelBundle:
    """The components of one Stable Diffusion checkpoint, on one device.

    The components are diffusers' and transformers' own objects, in evaluation mode. Everything else is read
    from their configs, never assumed.

    Attributes:
        name: what the user called it (a path, a hub id, `pocket`).
        path: its folder or file; None for components that were handed over in memory.
        kind: `concat` takes 9 channels (latents, mask, masked image), `blend` takes the latents alone.
        latent_channels: channels of the VAE's latents (4).
        vae_factor: image pixels per latent cell, along one side.
        native_size: side in pixels of the square that the weights were trained on.
        size_multiple: image sides must divide by it (VAE factor times the UNet's downsampling).
        scaling_factor: latents = (VAE latents - shift_factor) * scaling_factor.
        prediction_type: what the UNet predicts.
        scheduler_class: class name of the checkpoint's own scheduler.
        scheduler_config: its original config as it stands on disk; every sampler is made from it.
        scheduler_as_is: the whole config of a scheduler that was handed over in memory, for the reference mode.
        preview_matrix: returns (latent_channels + 1, 3) fp32, latents (and 1) to RGB in [-1, 1]; the first call
            fits it.
        content_hash: SHA-256 over the weight files, hexadecimal.
        row_cap: most rows in one UNet call.
        row_knee: rows of a call beyond which more rows gain nothing on this device.
        vocabulary: the words that a small model knows, lower case; None for models of open vocabulary.
    """

    name: str
    path: Path | None
    unet: Any
    vae: Any
    text_encoder: Any
    tokenizer: Any
    kind: Kind
    latent_channels: int
    vae_factor: int
    native_size: int
    size_multiple: int
    scaling_factor: float
    shift_factor: float
    prediction_type: PredictionType
    scheduler_class: str
    scheduler_config: Mapping[str, Any]
    preview_matrix: Callable[[], torch.Tensor]
    content_hash: str
    device: torch.device
    dtype: torch.dtype
    vae_dtype: torch.dtype
    row_cap: int
    row_knee: int
    safety_checker: Any | None = None
    feature_extractor: Any | None = None
    vocabulary: frozenset[str] | None = None
    recommended: Recommended = field(default_factory=Recommended)
    adapters: tuple[str, ...] = ()
    licence: str = ""
    scheduler_as_is: Mapping[str, Any] | None = None

    def needs_image(self, strength: float) -> bool:
        """Tell whether what the hole holds enters a picture: not where it starts from noise alone."""
        return self.kind == "blend" or strength < 1.0
