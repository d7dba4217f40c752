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
    with _LOCK:
        ids: list[int] = tokenizer(
            expand_tokens(prompt, tokenizer), add_special_tokens=False, truncation=False, verbose=False
        ).input_ids
    return ids


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
