"""Warnings about prompts: words that a small model never learnt, words that its tokenizer cuts off."""

import re
from collections.abc import Collection
from typing import Any

from retouch.models.chunks import chunks_of
from retouch.models.tokens import all_ids
from retouch.prompts import Prompt

_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)?")
# Words that carry grammar, not content: a model need not know them to follow the rest.
_GRAMMAR = frozenset(
    (
        *("a", "an", "the", "and", "or", "of", "in", "on", "at", "by", "to", "with", "from", "for", "near"),
        *("over", "under", "its", "it", "is", "are", "this", "that", "some", "very"),
    )
)
_SHOWN = 5


def prompt_warnings(
    prompt: Prompt, tokenizer: Any, vocabulary: Collection[str] | None, *, prompt_tokens: int | None = None
) -> tuple[str, ...]:
    """Return what a person should know about a prompt: unknown words first, then what is too long.

    Args:
        vocabulary: the words that a small model knows; None for models of open vocabulary.
        prompt_tokens: what the model reads well, start and end included, where that is less than it takes.
    """
    warnings = []
    unknown = unknown_words(prompt.words, vocabulary)
    if unknown:
        more = f" and {len(unknown) - _SHOWN} more" if len(unknown) > _SHOWN else ""
        warnings.append(f"the model does not know: {', '.join(unknown[:_SHOWN])}{more}")
    warnings += cut_off_warnings(prompt, tokenizer)
    if prompt_tokens is not None and (count := count_tokens(prompt, tokenizer)) > prompt_tokens - 2:
        warnings.append(f"the prompt has {count} tokens; the model follows one of {prompt_tokens - 2} better")
    return tuple(warnings)


def cut_off_warnings(prompt: Prompt, tokenizer: Any, *, name: str = "prompt") -> tuple[str, ...]:
    """Return what a person should know of a prompt's end, where that is not read."""
    lost = cut_off(prompt.text, tokenizer) if prompt.syntax == "plain" else ""
    if not lost:
        return ()
    longest = tokenizer.model_max_length - 2
    return (f"the {name} is longer than {longest} tokens; ignored: {lost!r} (`prompt_syntax=a1111` reads on)",)


def unknown_words(prompt: str, vocabulary: Collection[str] | None) -> tuple[str, ...]:
    """Return the words of a prompt that a small model does not know, in order, once each, lower case.

    A plural counts as known where its singular is. Models of open vocabulary (None) know every word.
    """
    if vocabulary is None:
        return ()
    words = dict.fromkeys(match[0].lower() for match in _WORD.finditer(prompt))
    return tuple(word for word in words if word not in _GRAMMAR and not _is_known(word, vocabulary))


def cut_off(prompt: str, tokenizer: Any) -> str:
    """Return the end of a prompt that is beyond the tokenizer's limit, '' if nothing is."""
    limit = int(tokenizer.model_max_length) - 2
    ids = all_ids(prompt, tokenizer)
    return str(tokenizer.decode(ids[limit:])).strip() if len(ids) > limit else ""


def count_tokens(prompt: Prompt, tokenizer: Any) -> int:
    """Return the tokens of a prompt, where it has several chunks those of the longest."""
    if prompt.syntax == "plain":
        return len(all_ids(prompt.text, tokenizer))
    return max(sum(chunk.mask) - 2 for chunk in chunks_of(prompt, tokenizer))


def _is_known(word: str, vocabulary: Collection[str]) -> bool:
    stems = [word, word.removesuffix("'s"), word.removesuffix("s"), word.removesuffix("es")]
    if word.endswith("ies"):
        stems.append(word.removesuffix("ies") + "y")
    return any(stem in vocabulary for stem in stems)
