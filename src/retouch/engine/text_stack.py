"""The text stack: from prompts to what they tell the UNet, whatever tokenizers and encoders that takes."""

from collections.abc import Sequence

import torch

from retouch.engine.conditioning import Conditioning
from retouch.models.bundle import ModelBundle
from retouch.models.tokens import padded_tokens


class TextStack:
    """The tokenizer and the text encoder of one bundle. Used by the engine's thread alone."""

    def __init__(self, bundle: ModelBundle) -> None:
        self._bundle = bundle

    def encode(self, prompts: Sequence[str]) -> Conditioning:
        """Return a row for each prompt, in the bundle's dtype, by one call of the encoder."""
        bundle, encoder = self._bundle, self._bundle.text_encoder
        tokens = padded_tokens(prompts, bundle.tokenizer)
        is_masked = bool(getattr(encoder.config, "use_attention_mask", False))
        mask = tokens.attention_mask.to(bundle.device) if is_masked else None
        embeds: torch.Tensor = encoder(tokens.input_ids.to(bundle.device), attention_mask=mask)[0]
        return Conditioning(embeds.to(bundle.dtype))
