"""Packed embeddings that stay the same tensor from step to step."""

from collections import OrderedDict
from collections.abc import Sequence

import torch


class Contexts:
    """The `encoder_hidden_states` of the latest calls. Used by the engine's thread alone.

    Rows that go on together bring the same embeddings to every step. Packed once, they are the same tensor each
    time, by which a tuned UNet knows that their keys and values have not changed either.
    """

    def __init__(self, size: int) -> None:
        """Keep what the last `size` companies of rows share (one at least); what came of it goes with them."""
        self._size = max(1, size)
        self._known: OrderedDict[tuple[int, ...], tuple[tuple[torch.Tensor, ...], torch.Tensor]] = OrderedDict()

    def clear(self) -> None:
        """Let all go, and with them what was made of them."""
        self._known.clear()

    def packed(self, embeds: Sequence[torch.Tensor]) -> torch.Tensor:
        """Return (rows, T, D) of (T, D) each; the very same tensor for the very same ones."""
        key = tuple(id(one) for one in embeds)
        # An entry holds its rows, so that no other tensor can come to have their ids.
        if key not in self._known:
            self._known[key] = tuple(embeds), torch.stack(tuple(embeds))
        self._known.move_to_end(key)
        while len(self._known) > self._size:
            self._known.popitem(last=False)
        return self._known[key][1]
