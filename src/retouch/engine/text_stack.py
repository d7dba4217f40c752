"""The text stack: from prompts to what they tell the UNet, whatever tokenizers and encoders that takes."""

from collections.abc import Sequence
from typing import Any

import torch

from retouch.engine.conditioning import Conditioning
from retouch.errors import InvalidField
from retouch.models.bundle import ModelBundle
from retouch.models.chunks import Chunk, chunks_of
from retouch.prompts import Prompt

_LEAST_MEAN = 0.01
"""Share of the mean size of an encoder's numbers below which their mean is taken for none."""


class TextStack:
    """The tokenizer and the text encoder of one bundle. Used by the engine's thread alone."""

    def __init__(self, bundle: ModelBundle) -> None:
        self._bundle = bundle

    def cut(self, prompt: Prompt) -> list[Chunk]:
        """Return the rows that a prompt brings to a call, in their order."""
        return chunks_of(prompt, self._bundle.tokenizer)

    def encode(self, chunks: Sequence[Chunk]) -> Conditioning:
        """Return a row for each chunk, in the bundle's dtype, by one call of the encoder."""
        bundle, encoder = self._bundle, self._bundle.text_encoder
        is_masked = bool(getattr(encoder.config, "use_attention_mask", False))
        given = encoder(
            torch.tensor([chunk.ids for chunk in chunks], device=bundle.device),
            attention_mask=torch.tensor([chunk.mask for chunk in chunks], device=bundle.device)
            if is_masked
            else None,
            output_hidden_states=any(chunk.clip_skip for chunk in chunks),
        )
        rows = [_weighed(_layer(encoder, given, at, chunk), chunk.weights) for at, chunk in enumerate(chunks)]
        return Conditioning(torch.cat(rows).to(bundle.dtype))


def check_clip_skip(clip_skip: int, bundle: ModelBundle) -> None:
    """Check that a layer of the text encoder remains.

    Raises:
        InvalidField: none does.
    """
    layers = int(bundle.text_encoder.config.num_hidden_layers)
    if not 0 <= clip_skip < layers:
        raise InvalidField("clip_skip", f"is {clip_skip}, the text encoder has {layers} layers")


def _layer(encoder: Any, given: Any, at: int, chunk: Chunk) -> torch.Tensor:
    """Return (1, T, D) of one row: the last layer, or an earlier one behind the norm that belongs to the last."""
    if not chunk.clip_skip:
        last: torch.Tensor = given[0][at : at + 1]
        return last
    stack = getattr(encoder, "text_model", encoder)  # before transformers 5 it was a module of its own
    normed: torch.Tensor = stack.final_layer_norm(given.hidden_states[-(chunk.clip_skip + 1)][at : at + 1])
    return normed


def _weighed(embeds: torch.Tensor, weights: Sequence[float]) -> torch.Tensor:
    """Multiply each token's embedding in (1, T, D) by its weight, and restore the mean over all of a chunk.

    As A1111 does by default (emphasis "Original"); start, end and padding count, too. Where the mean is as good as
    zero, by the encoder or by the weights, the quotient would be one of rounding errors: it is left.
    """
    if not weights:
        return embeds
    plain = embeds.float()
    heavy = plain * torch.tensor(weights, device=embeds.device)[:, None]
    before, after = plain.mean(), heavy.mean()
    has_mean = torch.minimum(before.abs(), after.abs()) > _LEAST_MEAN * plain.abs().mean()
    return heavy * torch.where(has_mean, before / after, 1.0)
