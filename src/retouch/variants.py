"""Several pictures of a thing: the word that a seed adds to a prompt which leaves the choice open."""

import re
from collections.abc import Sequence

from retouch.models.bundle import ModelBundle
from retouch.models.vocabulary import count_tokens
from retouch.prompts import Prompt
from retouch.request import InpaintRequest

_WORD = re.compile(r"\w+")
_VOWELS = tuple("aeiou")


def with_variant(request: InpaintRequest, bundle: ModelBundle, seed: int) -> str:
    """Return the prompt as the model sees it: with the word for one of the pictures that it has of a thing.

    Consecutive seeds add one word after the other: behind the prompt, or, where the checkpoint says which things
    its words are for, before the first of them. Nothing is added to a prompt that says one of the words or nothing
    at all, that describes the thing ("a straw hat") or speaks of a certain one ("the hat"), or that has no room
    left, nor in the reference mode.
    """
    advice, prompt = bundle.recommended, request.prompt
    said = set(_WORD.findall(prompt.lower()))
    if advice.variants is None or request.reference or not said or not said.isdisjoint(advice.variants):
        return prompt
    word = advice.variants[seed % len(advice.variants)]
    if not word:
        return prompt
    spoken = f"{prompt}, {word}" if advice.variants_of is None else _described(prompt, word, advice.variants_of)
    count = count_tokens(Prompt(spoken, request.prompt_syntax), bundle.tokenizer)
    return prompt if advice.prompt_tokens is not None and count > advice.prompt_tokens - 2 else spoken


def _described(prompt: str, word: str, things: Sequence[str]) -> str:
    """Put the word before the first of the things that begins the prompt or follows 'a' or 'an'."""
    names = "|".join(re.escape(thing) for thing in sorted(things, key=len, reverse=True))  # 'top hat' before 'hat'
    bare = re.compile(rf"(?P<before>^\W*|\b(?P<article>a)n?\s+)(?P<thing>{names})(?![\w-])", re.IGNORECASE)

    def put(found: re.Match[str]) -> str:
        article = found["article"] and found["article"] + ("n " if word.startswith(_VOWELS) else " ")
        return f"{article or found['before']}{word} {found['thing']}"

    return bare.sub(put, prompt, count=1)
