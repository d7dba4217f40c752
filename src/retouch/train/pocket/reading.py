"""Surgery before the UNet learns to use sketches: heads that look where they stand from the start.

To use a sketch (`pocket.sketch`) a query has to find the token of its own region, and nothing rewards it
for looking until the layers behind it can use what it finds: left to itself it does not begin within 10,000
samples. So some heads of a cross-attention are set in closed form: a ridge regression finds the place of a cell in
the features that the query is made from, another the place of a token in its embedding, and the values are the
sketch's latents. Their way out of the attention begins at 0 and is learnt.

What was found in the features holds only as long as these stay what they were: train what lies before the
attention at a small share of the learning rate (`rate_factors`).
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import Module

from retouch.errors import ModelError
from retouch.train.denoiser import Denoiser
from retouch.train.phase import Example
from retouch.train.sketches import SketchHead, position_codes
from retouch.train.text import SKETCH_SIDE, WORD_TOKENS

SHARPNESS = 3.0
"""Scales the products of two position codes."""
AVOID_WORDS = 6.0
"""Half the distance in logits between a sketch token and a word, to these heads."""


@torch.no_grad()
def fit_reading(denoiser: Denoiser, attention: str, examples: Sequence[Example], head: SketchHead) -> None:
    """Set the last heads of `attention` of the UNet (such as `up_blocks.1.attentions.0`) to read sketches.

    As many heads as the latents of one region need change; the others stay. Cells and tokens need not be equally
    many.

    Args:
        examples: what the regressions learn from; a few hundred rows.
        head: of the text encoder's lessons.

    Raises:
        AttributeError: the UNet has no such attention.
        ModelError: its heads are too narrow to hold a place.
    """
    block = denoiser.unet.get_submodule(f"{attention}.transformer_blocks.0")
    features, embeds = _collect(denoiser, block.norm2, examples)
    cross = block.attn2
    size = cross.to_q.weight.shape[0] // cross.heads
    values = head.latents.weight  # (values, text width)
    readers = range(cross.heads - math.ceil(len(values) / size), cross.heads)

    cells = _with_constant(position_codes(math.isqrt(features.shape[1])))
    tokens = _with_constant(position_codes(SKETCH_SIDE))
    words = torch.zeros(WORD_TOKENS, tokens.shape[1])
    words[:, -1] = -1.0
    codes = cells.shape[1]
    if size < codes:
        raise ModelError(f"{attention} has heads of {size} channels; a place needs {codes}")
    scale = torch.full((codes, 1), SHARPNESS, device=features.device)
    scale[-1] = AVOID_WORDS
    query = scale * size**0.5 * _ridge(features, cells, penalty=10.0)
    key = _ridge(embeds, torch.cat([words, tokens]), penalty=1.0)
    for turn, number in enumerate(readers):
        own = slice(number * size, (number + 1) * size)
        for layer in (cross.to_q, cross.to_k):
            layer.weight[own] *= 0.2  # room for what else there is to look for
        top = slice(number * size, number * size + codes)
        cross.to_q.weight[top] = query
        cross.to_k.weight[top] = key
        part = values[turn * size : (turn + 1) * size]
        cross.to_v.weight[number * size : number * size + len(part)] = part
        cross.to_out[0].weight[:, own] = 0.0


def _collect(denoiser: Denoiser, norm: Module, examples: Sequence[Example]) -> tuple[Tensor, Tensor]:
    """What queries are made from, (rows, cells, channels), and prompt embeddings (rows, tokens, width)."""
    found: list[Tensor] = []
    embeds: list[Tensor] = []
    hook = norm.register_forward_hook(lambda _module, _input, output: found.append(output.float()))
    was_training = denoiser.unet.training
    denoiser.unet.eval()
    for example in examples:
        embeds.append(denoiser.embed(example.tokens))
        denoiser(example.unet_input, example.timesteps, example.tokens)
    denoiser.unet.train(was_training)
    hook.remove()
    return torch.cat(found), torch.cat(embeds)


def _with_constant(codes: Tensor) -> Tensor:
    return torch.cat([codes, torch.ones(len(codes), 1)], dim=1)


def _ridge(inputs: Tensor, targets: Tensor, *, penalty: float) -> Tensor:
    """The matrix (K, C) that takes inputs (rows, places, C) closest to targets (places, K)."""
    flat = inputs.flatten(0, 1)
    wanted = targets.to(flat.device).repeat(len(inputs), 1)
    within = flat.T @ flat + penalty * torch.eye(flat.shape[1], device=flat.device)
    solved: Tensor = torch.linalg.solve(within, flat.T @ wanted)
    return solved.T
