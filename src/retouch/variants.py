"""Several pictures of a thing: the word that a seed adds to a prompt which leaves the choice open."""

import re
from functools import lru_cache

from retouch.data.captions import article
from retouch.models.bundle import ModelBundle
from retouch.models.vocabulary import count_tokens
from retouch.prompts import Prompt
from retouch.request import InpaintRequest

# What may follow a thing that is named alone: else it is the first half of a compound ("a bird nest").
_GOES_ON = (
    "and|or|in|inside|on|at|by|near|over|under|before|behind|beside|between|among|with|without|for|from|to|is|that"
)


def with_variant(request: InpaintRequest, bundle: ModelBundle, seed: int) -> str:
    """Return the prompt as the model sees it: with the word for one of the pictures that it has of a thing.

    Consecutive seeds add one word after the other: behind the prompt, or, where the checkpoint says which things
    its words are for, before the first of them. Nothing is added to a settled request whose prompt or negative
    prompt says one of the words, that describes the thing ("a straw hat") or speaks of a certain one ("the hat"),
    whose prompt says nothing at all or has no room left, that keeps something of what is there (`strength` below
    1), nor in the reference mode.
    """
    advice, prompt = bundle.recommended, request.prompt
    said = _said(prompt)
    if not advice.variants or not said.strip() or request.reference or request.strength != 1:
        return prompt
    if any(word and f" {word} " in f"{said}{_said(request.negative_prompt)}" for word in advice.variants):
        return prompt
    word = advice.variants[seed % len(advice.variants)]
    if not word:
        return prompt
    spoken = f"{prompt}, {word}" if advice.variants_of is None else _described(prompt, word, advice.variants_of)
    if spoken == prompt or advice.prompt_tokens is None:
        return spoken
    count = count_tokens(Prompt(spoken, request.prompt_syntax), bundle.tokenizer)
    return spoken if count <= advice.prompt_tokens - 2 else prompt


def _said(text: str) -> str:
    """Return the words in lower case, with a space before and after each."""
    words = re.findall(r"\w+", text.lower())
    return " ".join(["", *words, ""])


def _described(prompt: str, word: str, things: tuple[str, ...]) -> str:
    """Put the word before the first of the things that begins the prompt or follows 'a' or 'an'."""

    def put(found: re.Match[str]) -> str:
        before = found["article"] and found["article"][0] + article(word)[1:]
        return f"{before or ''}{found['between']}{word} {found['thing']}"

    return _bare(things).sub(put, prompt, count=1)


@lru_cache(maxsize=4)
def _bare(things: tuple[str, ...]) -> re.Pattern[str]:
    names = "|".join(re.escape(thing) for thing in sorted(things, key=len, reverse=True))  # 'top hat' before 'hat'
    return re.compile(
        rf"(?:^|\b(?P<article>an?)(?=[\s(\[]))(?P<between>[\s(\[]*)(?P<thing>{names})"
        rf"(?=\s*(?:$|[^\s\w'’-]|\s(?:{_GOES_ON})\b))",
        re.IGNORECASE,
    )
