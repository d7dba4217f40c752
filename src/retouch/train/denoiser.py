"""The trained module: UNet and text encoder as one, so that one optimiser, one EMA and one DDP wrap hold both."""

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from diffusers import UNet2DConditionModel
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from transformers import CLIPTextModel

from retouch.errors import InvalidField
from retouch.models.components import Components
from retouch.models.schedulers import own_scheduler
from retouch.train.config import ModelConfig
from retouch.train.embeddings import EmbeddingMemory
from retouch.train.noise import NoiseSchedule, Prediction
from retouch.train.origin import predicted
from retouch.train.sketches import SketchWriter
from retouch.train.text import encode_captions

SMALL_ATTENTION = 256
"""Most cells of the finest attention whose products are taken one by one on CPUs."""


class Denoiser(nn.Module):
    """Token ids and a noisy input to a prediction.

    A frozen text encoder runs without gradients, in evaluation mode.

    Attributes:
        predicts: what the prediction is of.
        noise: what makes the input noisy.
        writer: writes the sketches of rows that bring their own; None where none does.
    """

    def __init__(
        self,
        unet: UNet2DConditionModel,
        text_encoder: CLIPTextModel,
        *,
        train_text: bool,
        predicts: Prediction,
        noise: NoiseSchedule,
        writer: SketchWriter | None = None,
    ) -> None:
        super().__init__()
        self.predicts: Prediction = predicts
        self.noise = noise
        self.unet = unet
        self.text_encoder = text_encoder
        self.train_text = train_text
        self.writer = writer
        self._memory = EmbeddingMemory(text_encoder)
        if not train_text:
            text_encoder.requires_grad_(False).eval()

    def forward(
        self, unet_input: Tensor, timesteps: Tensor, tokens: Tensor, sketches: Tensor | None = None
    ) -> Tensor:
        """Prediction (B, 4, h, w) for unet_input (B, 4 or 9, h, w), timesteps (B,), tokens (B, T).

        Args:
            sketches: as in `LatentBatch`.

        Raises:
            InvalidField: there are sketches, and nothing to write them with.
        """
        prompt_embeds = self.embed(tokens)
        if sketches is not None:
            if self.writer is None:
                hint = "give the folder that `retouch train text` made"
                raise InvalidField("model.text.pretrained", "the scenes bring sketches of their own", hint=hint)
            prompt_embeds = self.writer(prompt_embeds, sketches)
        with _attention(unet_input, self.unet):
            prediction: Tensor = self.unet(unet_input, timesteps, prompt_embeds).sample
        return prediction

    def embed(self, tokens: Tensor) -> Tensor:
        """Prompt embeddings (B, T, D) of tokens (B, T); without gradients where the text encoder is frozen."""
        if self.train_text:
            embeds: Tensor = self.text_encoder(tokens)[0]
            return embeds
        if tokens.device.type == "cpu":
            known: Tensor = self._memory.embed(tokens)
            return known
        with torch.no_grad():
            frozen: Tensor = self.text_encoder(tokens)[0]
        return frozen


def _attention(unet_input: Tensor, unet: UNet2DConditionModel) -> AbstractContextManager[None]:
    """Choose how attention is computed: for few cells the fused kernel for CPUs is slower than plain products."""
    finest = next((level for level, kind in enumerate(unet.config.down_block_types) if "Attn" in kind), None)
    # What gradient checkpointing computes again, it computes outside of this choice.
    if unet_input.device.type != "cpu" or finest is None or unet.is_gradient_checkpointing:
        return nullcontext()
    cells = unet_input.shape[-2] * unet_input.shape[-1] // 4**finest
    return sdpa_kernel(SDPBackend.MATH) if cells <= SMALL_ATTENTION else nullcontext()


def build_denoiser(config: ModelConfig, origin: Components) -> Denoiser:
    """The module to train, around the UNet and the text encoder of `origin` (in place).

    A text-to-image checkpoint is as good as an inpainting one.

    Raises:
        ModelUnsupported: what its scheduler says cannot be trained.
        InvalidField: its scheduler is none for Stable Diffusion.
    """
    unet: UNet2DConditionModel = origin.unet.requires_grad_(True)
    origin.text_encoder.requires_grad_(True)
    unet.float().to(memory_format=torch.channels_last)
    if config.gradient_checkpointing:
        unet.enable_gradient_checkpointing()
    if config.lora is not None:
        _add_lora(unet, config)
    return Denoiser(
        unet,
        origin.text_encoder.float(),
        train_text=config.train_text_encoder,
        predicts=predicted(origin),
        noise=NoiseSchedule.of_scheduler(own_scheduler(origin.scheduler_config)),
        writer=SketchWriter.beside(config.text.pretrained),
    )


def _add_lora(unet: UNet2DConditionModel, config: ModelConfig) -> None:
    from peft import LoraConfig

    assert config.lora is not None
    unet.requires_grad_(False)
    unet.add_adapter(
        LoraConfig(
            r=config.lora.rank,
            lora_alpha=config.lora.alpha,
            target_modules=list(config.lora.targets),
            init_lora_weights="gaussian",
        )
    )


def empty_tokens(tokenizer: Any) -> Tensor:
    """Token ids of the empty caption: (1, T)."""
    return encode_captions(tokenizer, [""])
