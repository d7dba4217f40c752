"""`Conditioning`: what the text tells the UNet, as one value that is carried without being looked into."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import torch


@dataclass(frozen=True, slots=True, eq=False)
class Conditioning:
    """The text's part of `B` rows of a UNet call. A prompt's own is of one row.

    Attributes:
        embeds: (B, T, D), which cross-attention reads.
        added: (B, ...) each, what a family takes beside them, by diffusers' names in `added_cond_kwargs`: the
            pooled output of a second text encoder is `text_embeds` there.
    """

    embeds: torch.Tensor
    added: Mapping[str, torch.Tensor] = field(default_factory=dict)

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """Return the rows of all parts, in their order."""
        added = {name: torch.cat([part.added[name] for part in parts]) for name in parts[0].added}
        return cls(torch.cat([part.embeds for part in parts]), added)

    def __len__(self) -> int:
        return len(self.embeds)

    def rows(self) -> list[Self]:
        """Return each row by itself, in memory of its own."""
        return [self._row(at) for at in range(len(self))]

    @property
    def key(self) -> Hashable:
        """Return what must be equal for rows to be joined."""
        return self.embeds.shape[1:], tuple((name, part.shape[1:]) for name, part in self.added.items())

    def flat(self) -> torch.Tensor:
        """Return all numbers of each row, (B, N)."""
        parts = [self.embeds, *self.added.values()]
        return parts[0].flatten(1) if len(parts) == 1 else torch.cat([part.flatten(1) for part in parts], dim=1)

    def unet_inputs(self) -> dict[str, Any]:
        """Return the arguments by which a UNet of diffusers takes it."""
        added = {"added_cond_kwargs": dict(self.added)} if self.added else {}
        return {"encoder_hidden_states": self.embeds, **added}

    def _row(self, at: int) -> Self:
        own = slice(at, at + 1)
        return type(self)(self.embeds[own].clone(), {name: part[own].clone() for name, part in self.added.items()})
