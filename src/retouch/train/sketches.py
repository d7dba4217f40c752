"""Sketches: what the tokens behind a caption's words say of each region of the picture, and of its place.

A text encoder of `retouch.train.pocket.sketch` has them. They are read and written by a head that lies beside it.
"""

from pathlib import Path
from typing import Self

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

from retouch.train.text import SKETCH_SIDE, WORD_TOKENS

HEAD_FILE = "sketch.safetensors"
"""Beside the text encoder: what turns its sketch tokens into latents and places."""
FREQUENCIES = 4
"""Cosines of a place, across and down."""


class SketchHead(nn.Module):
    """Reads sketch tokens: the latents of their region, and its place. For training alone."""

    def __init__(self, width: int, values: int) -> None:
        super().__init__()
        self.latents = nn.Linear(width, values)
        self.position = nn.Linear(width, 2 * FREQUENCIES)

    @classmethod
    def load(cls, folder: Path) -> "SketchHead":
        """The head beside a text encoder that had its lessons."""
        weights = load_file(folder / HEAD_FILE)
        values, width = weights["latents.weight"].shape
        head = cls(width, values)
        head.load_state_dict(weights)
        return head

    @classmethod
    def beside(cls, text_encoder: str | Path | None) -> "SketchHead | None":
        """The head in a text encoder's folder; None where there is none."""
        if text_encoder is None or not (Path(text_encoder) / HEAD_FILE).is_file():
            return None
        return cls.load(Path(text_encoder))

    @classmethod
    @torch.no_grad()
    def fit(cls, embeds: Tensor, regions: Tensor) -> "SketchHead":
        """The head that reads regions (N, T, values) from sketch tokens (N, T, width) best, in closed form."""
        head = cls(embeds.shape[-1], regions.shape[-1])
        tokens = torch.cat([embeds, torch.ones_like(embeds[..., :1])], dim=-1).flatten(0, 1).double()
        within = tokens.T @ tokens + 1e-2 * torch.eye(tokens.shape[1], dtype=tokens.dtype)
        codes = position_codes(SKETCH_SIDE).repeat(len(embeds), 1)
        for layer, targets in ((head.latents, regions.flatten(0, 1)), (head.position, codes)):
            solved = torch.linalg.solve(within, tokens.T @ targets.double()).float()
            layer.weight.copy_(solved[:-1].T)
            layer.bias.copy_(solved[-1])
        return head


class SketchWriter(nn.Module):
    """Lets embeddings say other sketches. It goes where its model goes, and is not of the model's weights."""

    weight: Tensor
    bias: Tensor
    back: Tensor

    @torch.no_grad()
    def __init__(self, head: SketchHead) -> None:
        """The writer of what a head reads."""
        super().__init__()
        weight = head.latents.weight
        read = torch.cat([weight, head.position.weight]).double()
        # The pseudo-inverse leaves what is read of places alone.
        back = torch.linalg.pinv(read)[:, : len(weight)].T.float()
        for name, part in (("weight", weight.detach()), ("bias", head.latents.bias.detach()), ("back", back)):
            self.register_buffer(name, part, persistent=False)

    @classmethod
    def beside(cls, text_encoder: str | None) -> Self | None:
        """The writer for a text encoder's folder; None where no head lies in it."""
        head = SketchHead.beside(text_encoder)
        return None if head is None else cls(head)

    def forward(self, embeds: Tensor, sketches: Tensor) -> Tensor:
        """Embeddings (B, T, width) whose tokens behind the words are read as sketches (B, SKETCH_SIDE**2, values).

        They change as little as they can, and not at all in rows of NaN.
        """
        tokens = embeds[:, WORD_TOKENS:].float()
        with torch.autocast(embeds.device.type, enabled=False):
            written = tokens + (sketches - F.linear(tokens, self.weight, self.bias)) @ self.back
        is_own = sketches.isnan().any(dim=(1, 2))[:, None, None]
        said = torch.where(is_own, tokens, written).to(embeds.dtype)
        return torch.cat([embeds[:, :WORD_TOKENS], said], dim=1)


def to_regions(cells: Tensor) -> Tensor:
    """(B, C, h, w) cells to (B, SKETCH_SIDE**2, C * h * w / SKETCH_SIDE**2), row by row."""
    return F.pixel_unshuffle(cells, cells.shape[-1] // SKETCH_SIDE).flatten(2).transpose(1, 2)


def position_codes(side: int) -> Tensor:
    """Places on a square grid as cosines of rising frequency, across and down: (side**2, 2 * FREQUENCIES).

    Products of two codes are largest where the places are the same, and fall off evenly around.
    """
    middles = (torch.arange(side) + 0.5) / side * torch.pi
    down, across = torch.meshgrid(middles, middles, indexing="ij")
    places = torch.stack([across, down], dim=-1).reshape(-1, 2)
    return 2**0.5 * torch.cat([torch.cos(k * places) for k in range(1, FREQUENCIES + 1)], dim=1)
