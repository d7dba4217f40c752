"""Prompts to token ids, from any thread."""

import threading
from collections.abc import Sequence
from typing import Any

from retouch.models.adapters import expand_tokens

# transformers sets padding and truncation on the tokenizer itself before it encodes: of two callers at once, one
# would get the other's.
_LOCK = threading.Lock()


def all_ids(prompt: str, tokenizer: Any) -> list[int]:
    """Return the ids of a whole prompt, however long, without start and end."""
    return ids_of([prompt], tokenizer)[0]


def ids_of(texts: Sequence[str], tokenizer: Any) -> list[list[int]]:
    """Return the ids of each text, however long, without start and end; there must be one at least."""
    with _LOCK:
        ids: list[list[int]] = tokenizer(
            [expand_tokens(text, tokenizer) for text in texts],
            add_special_tokens=False,
            truncation=False,
            verbose=False,
        ).input_ids
    return ids


def end_ids(tokenizer: Any) -> tuple[int, int]:
    """Return the ids of start and end, between which every prompt stands."""
    with _LOCK:
        start, end = tokenizer("").input_ids
    return start, end


def padded_tokens(prompts: Sequence[str], tokenizer: Any) -> Any:
    """Return `input_ids` and `attention_mask`, each (rows, T), cut and padded to the tokenizer's length."""
    with _LOCK:
        return tokenizer(
            [expand_tokens(prompt, tokenizer) for prompt in prompts],
            padding="max_length",
            max_length=tokenizer.model_max_length,
            truncation=True,
            return_tensors="pt",
        )
