"""Embeddings of captions that a frozen text encoder has seen before."""

from collections import OrderedDict

import torch
from torch import Tensor
from transformers import CLIPTextModel

MOST_BYTES = 2**29
CALL_ROWS = 4
"""Captions that the encoder reads at once, always so many: then no bit depends on who is read beside whom."""

Key = tuple[bool, bytes]
"""Whether it was read in autocast's precision, and the tokens."""


class EmbeddingMemory:
    """A frozen text encoder that remembers what it said, up to `MOST_BYTES`; the longest unused is forgotten.

    For CPUs, where a small text encoder takes a tenth of each step, and a third where all captions are new.
    No embedding's last bit depends on when it was read: a resumed run has forgotten all.
    """

    def __init__(self, text_encoder: CLIPTextModel) -> None:
        self._text_encoder = text_encoder
        self._known: OrderedDict[Key, Tensor] = OrderedDict()

    @torch.compiler.disable  # type: ignore[untyped-decorator]  # torch has no types for it
    @torch.no_grad()
    def embed(self, tokens: Tensor) -> Tensor:
        """Embeddings (B, T, D) of tokens (B, T), in fp32 or as autocast has it."""
        is_cast = torch.is_autocast_enabled("cpu")
        keys = [(is_cast, row.numpy().tobytes()) for row in tokens]
        rows = dict(zip(keys, tokens, strict=True))
        found = {key: self._known[key] for key in rows if key in self._known}
        new = [key for key in rows if key not in found]
        for start in range(0, len(new), CALL_ROWS):
            called = new[start : start + CALL_ROWS]
            padding = called[-1:] * (CALL_ROWS - len(called))
            embeds = self._text_encoder(torch.stack([rows[key] for key in called + padding]))[0]
            found |= {key: row.clone() for key, row in zip(called, embeds)}
        for key in rows:
            self._known[key] = found[key]
            self._known.move_to_end(key)
        while len(self._known) * found[keys[0]].nbytes > MOST_BYTES:
            self._known.popitem(last=False)
        return torch.stack([found[key] for key in keys])
