"""Prompts cut into chunks of tokens, as many as a text encoder takes at once."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from retouch.models.adapters import follower_ids
from retouch.models.tokens import end_ids, ids_of, padded_tokens
from retouch.prompts import Part, Prompt

BACKTRACK = 20
"""A chunk ends at its last comma where fewer tokens follow it: A1111's default, `comma_padding_backtrack`."""

_Token = tuple[int, float]
"""Id and weight."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """One row of a text encoder's call.

    Attributes:
        ids: (T,), with start, end and padding.
        mask: (T,), 1 = token, 0 = padding.
        weights: (T,), 1 for start, end and padding; empty where all weigh 1.
        clip_skip: last layers of the encoder that are left out.
    """

    ids: tuple[int, ...]
    mask: tuple[int, ...]
    weights: tuple[float, ...] = ()
    clip_skip: int = 0


def chunks_of(prompt: Prompt, tokenizer: Any) -> list[Chunk]:
    """Return the chunks of a prompt, one at least; a plain one has no more than that, and is cut off.

    Raises:
        InvalidField: the prompt cannot be read.
    """
    if prompt.syntax == "plain":
        tokens = padded_tokens([prompt.text], tokenizer)
        ids, mask = tokens.input_ids[0].tolist(), tokens.attention_mask[0].tolist()
        return [Chunk(tuple(ids), tuple(mask), clip_skip=prompt.clip_skip)]
    *others, last = (_wrapped(_units(passage, tokenizer), tokenizer) for passage in prompt.passages)
    # Behind the last BREAK a chunk begins only where something stands there.
    filled = [*chain(*others), *(last if any(last) or not others else ())]
    return [_closed(tokens, tokenizer, clip_skip=prompt.clip_skip) for tokens in filled]


def _units(passage: Sequence[Part], tokenizer: Any) -> Iterator[list[_Token]]:
    """Yield what stays together: single tokens, and the vectors of a textual inversion."""
    if not passage:
        return
    room, followers = _room(tokenizer), follower_ids(tokenizer)
    unit: list[_Token] = []
    for part, ids in zip(passage, ids_of([part.text for part in passage], tokenizer), strict=True):
        for number in ids:
            if unit and (number not in followers or len(unit) == room):
                yield unit
                unit = []
            unit.append((number, part.weight))
    if unit:
        yield unit


def _wrapped(units: Iterator[list[_Token]], tokenizer: Any) -> list[list[_Token]]:
    """Fill chunks with units, and let them end at a comma where one is near."""
    room, comma = _room(tokenizer), tokenizer.convert_tokens_to_ids(",</w>")
    chunks: list[list[_Token]] = [[]]
    after = 0  # the tokens of the last chunk up to its last comma, that included
    for unit in units:
        is_comma = unit[0][0] == comma
        while len(chunks[-1]) + len(unit) > room:
            is_near = after > 0 and len(chunks[-1]) == room and room - after < BACKTRACK
            end = after if is_near and not is_comma else room
            chunks.append(chunks[-1][end:])
            del chunks[-2][end:]
            after = 0
        chunks[-1] += unit
        after = len(chunks[-1]) if is_comma else after
    return chunks


def _closed(tokens: Sequence[_Token], tokenizer: Any, *, clip_skip: int) -> Chunk:
    start, end = end_ids(tokenizer)
    ids = [start, *(number for number, _ in tokens), end]
    weights = [1.0, *(weight for _, weight in tokens), 1.0]
    missing = _room(tokenizer) - len(tokens)
    before, behind = (missing, 0) if tokenizer.padding_side == "left" else (0, missing)
    pad = tokenizer.pad_token_id
    return Chunk(
        ids=(*[pad] * before, *ids, *[pad] * behind),
        mask=(*[0] * before, *[1] * len(ids), *[0] * behind),
        weights=() if set(weights) == {1.0} else (*[1.0] * before, *weights, *[1.0] * behind),
        clip_skip=clip_skip,
    )


def _room(tokenizer: Any) -> int:
    """Return the tokens of a chunk between start and end."""
    return int(tokenizer.model_max_length) - 2
