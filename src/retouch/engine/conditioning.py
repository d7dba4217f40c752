"""`Conditioning`: what the text tells the UNet, as one value that is carried without being looked into."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import torch
import torch.nn.functional as F


@dataclass(frozen=True, slots=True, eq=False)
class Conditioning:
    """The text's part of `B` rows of a UNet call. A prompt's own is of one row.

    Attributes:
        embeds: (B, T, D), which cross-attention reads.
        added: (B, ...) each, what a family takes beside them, by diffusers' names in `added_cond_kwargs`: the
            pooled output of a second text encoder is `text_embeds` there.
        mask: (B, T) bool, False = padding that nothing attends to; None where there is none.
    """

    embeds: torch.Tensor
    added: Mapping[str, torch.Tensor] = field(default_factory=dict)
    mask: torch.Tensor | None = None

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """Return the rows of all parts, in their order."""
        added = {name: torch.cat([part.added[name] for part in parts]) for name in parts[0].added}
        masks = [part.mask for part in parts if part.mask is not None]
        return cls(torch.cat([part.embeds for part in parts]), added, torch.cat(masks) if masks else None)

    @classmethod
    def strung(cls, parts: Sequence[Self]) -> Self:
        """Return one row that says all parts, one after another; what goes beside them is the first one's."""
        return cls(torch.cat([part.embeds for part in parts], dim=1), parts[0].added)

    @classmethod
    def evened(cls, parts: Sequence[Self]) -> list[Self]:
        """Return the parts at the length of the longest, so that they can share a call.

        What is added is hidden by a mask: each part tells the UNet what it would by itself.
        """
        lengths = [part.embeds.shape[1] for part in parts]
        if len(set(lengths)) == 1:
            return list(parts)
        places = torch.arange(max(lengths), device=parts[0].embeds.device)
        return [
            cls(F.pad(part.embeds, (0, 0, 0, len(places) - length)), part.added, (places < length)[None])
            for part, length in zip(parts, lengths)
        ]

    def __len__(self) -> int:
        return len(self.embeds)

    def rows(self) -> list[Self]:
        """Return each row by itself, in memory of its own."""
        return [self._row(at) for at in range(len(self))]

    @property
    def key(self) -> Hashable:
        """Return what must be equal for rows to be joined."""
        added = tuple((name, part.shape[1:]) for name, part in self.added.items())
        return self.embeds.shape[1:], added, self.mask is None

    def flat(self) -> torch.Tensor:
        """Return all numbers of each row, (B, N)."""
        parts = [self.embeds, *self.added.values()]
        return parts[0].flatten(1) if len(parts) == 1 else torch.cat([part.flatten(1) for part in parts], dim=1)

    def unet_inputs(self) -> dict[str, Any]:
        """Return the arguments by which a UNet of diffusers takes it."""
        added = {"added_cond_kwargs": dict(self.added)} if self.added else {}
        mask = {} if self.mask is None else {"encoder_attention_mask": self.mask}
        return {"encoder_hidden_states": self.embeds, **added, **mask}

    def _row(self, at: int) -> Self:
        own = slice(at, at + 1)
        added = {name: part[own].clone() for name, part in self.added.items()}
        return type(self)(self.embeds[own].clone(), added, None if self.mask is None else self.mask[own].clone())
