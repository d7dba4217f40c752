"""Embeddings of captions that a frozen text encoder has seen before."""

from collections import OrderedDict

import torch
from torch import Tensor
from transformers import CLIPTextModel

MOST_BYTES = 2**29


class EmbeddingMemory:
    """A frozen text encoder that remembers what it said, up to `MOST_BYTES`; the longest unused is forgotten.

    For CPUs, where a small model's text encoder takes a tenth of each step. The encoder reads captions one by one
    and in full precision, so that no embedding's last bit depends on when it was read: a resumed run has forgotten
    all.
    """

    def __init__(self, text_encoder: CLIPTextModel) -> None:
        self._text_encoder = text_encoder
        self._known: OrderedDict[bytes, Tensor] = OrderedDict()

    @torch.compiler.disable  # type: ignore[untyped-decorator]  # torch has no types for it
    @torch.no_grad()
    def embed(self, tokens: Tensor) -> Tensor:
        """Embeddings (B, T, D) of tokens (B, T)."""
        return torch.cat([self._embed_one(row[None]) for row in tokens])

    def _embed_one(self, tokens: Tensor) -> Tensor:
        key = tokens.numpy().tobytes()
        if key in self._known:
            self._known.move_to_end(key)
            return self._known[key]
        with torch.autocast("cpu", enabled=False):
            embeds: Tensor = self._text_encoder(tokens)[0]
        self._known[key] = embeds
        while len(self._known) * embeds.nbytes > MOST_BYTES:
            self._known.popitem(last=False)
        return embeds
