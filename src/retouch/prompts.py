"""What a prompt says: its words, and how much each of them weighs, by the syntax that it is written in.

`plain` is the text as it stands. `a1111` is what is written for AUTOMATIC1111's web UI, by the rules that its wiki
publishes ("Features": attention, infinite prompt length, BREAK) and its settings explain:

    (word)      weighs 1.1        BREAK   ends a chunk of tokens
    (word:1.3)  weighs 1.3        #       begins a comment, up to the end of its line
    [word]      weighs 1/1.1      \\(      is the character itself, as are \\) \\[ \\] and \\\\

Weights multiply where brackets lie within each other. A bracket that is never closed reaches to the end, one that
closes nothing is text. What else means something there, and cannot be had here, is refused: networks in angle
brackets, `[from:to:when]`, `[one|other]`, and AND.
"""

import re
import reprlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain, groupby
from typing import Literal

from retouch.errors import InvalidField

PromptSyntax = Literal["plain", "a1111"]

MAX_WEIGHT = 100.0
"""Of 48 brackets around a word, and more than any picture bears; half precision ends soon after."""
_HARDLY = 0.5
"""What weighs less is hardly seen, and so explains nothing that stands beside it."""

_FACTORS = {"(": 1.1, "[": 1 / 1.1}
_OPENINGS = {")": "(", "]": "["}
# No run of characters is looked at twice: a text of any kind is read in time linear in its length.
_LEXEME = re.compile(
    r"\\(?P<literal>[][()|\\])|(?P<nothing>\\)|:\s*(?P<weight>[+-]?[.\d]+)\s*\)|(?P<mark>[][():])|(?P<text>[^][():\\]+)"
)
_COMMENT = re.compile("#[^\n]*")
_BREAK = re.compile(r"\bBREAK\b")
_AND = re.compile(r"\bAND\b")
_NETWORK = re.compile(r"<\w+:(?=[^>])")
_NUMBER = re.compile(r"\s*[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?\s*")
_AS_TEXT = "a backslash before a bracket makes it text"


@dataclass(frozen=True, slots=True)
class Part:
    """Text of one weight."""

    text: str
    weight: float = 1.0


Passages = tuple[tuple[Part, ...], ...]
"""What stands between one BREAK and the next, in parts whose neighbours weigh otherwise."""
_Problem = tuple[str, str]
"""What cannot be run, and what to do about it."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """A text and all that decides, beside the checkpoint, what it tells the UNet.

    Attributes:
        text: as it was written.
        syntax: how it is read.
        clip_skip: last layers of the text encoder that are left out.
    """

    text: str
    syntax: PromptSyntax = "plain"
    clip_skip: int = 0

    @property
    def passages(self) -> Passages:
        """Return its text in parts; one passage at least, which may be empty."""
        return ((Part(self.text),),) if self.syntax == "plain" else parse(self.text)

    @property
    def words(self) -> str:
        """Return the words alone, without what the syntax adds to them."""
        return self.text if self.syntax == "plain" else " ".join(part.text for part in chain(*self.passages))

    @property
    def is_weighed(self) -> bool:
        """Tell whether some of its words weigh more or less than others do by themselves."""
        return any(part.weight != 1.0 for part in chain(*self.passages))


@lru_cache(maxsize=256)
def parse(text: str, field: str = "prompt") -> Passages:
    """Read a text of the syntax `a1111`.

    Args:
        field: what an error calls it.
    Raises:
        InvalidField: it holds what is not supported, or a weight that is none or beyond `MAX_WEIGHT`.
    """
    passages, problems = _read(text)
    for message, hint in problems:
        raise InvalidField(field, message, hint=hint)
    return passages


def check_prompt(text: str, syntax: PromptSyntax, *, field: str) -> None:
    """Check what the syntax makes of a prompt.

    Raises:
        InvalidField: it cannot be read, or means something that is not supported.
    """
    if syntax == "plain":
        return
    passages = parse(text, field)
    if field == "negative_prompt":
        # What nobody screens names what shall be absent, not what shall be twice absent. AND is a word there.
        if any(part.weight < 0 for part in chain(*passages)):
            raise InvalidField(field, "has a weight below 0", hint="what is wanted belongs into the prompt")
    elif _AND.search(_COMMENT.sub("", text)):
        raise InvalidField(
            field, "AND puts several prompts together, which is not supported", hint="write `and`, or BREAK"
        )


def said(text: str, *, seam: str = "-") -> tuple[str, ...]:
    """Return what a text says where `a1111` reads it, for those who look for words: all, and what has some weight.

    Never an error: what cannot be run can still be looked through. The seam stands where the weight changes, so
    that a word which is cut there can be told from two.
    """
    passages, _ = _read(text)
    heavy = (tuple(part for part in passage if abs(part.weight) >= _HARDLY) for passage in passages)
    return tuple(
        " ".join(seam.join(part.text for part in passage) for passage in some) for some in (passages, heavy)
    )


@dataclass(slots=True)
class _Bracket:
    """Where a bracket opens; how it weighs, and whether alternatives stand in it, turns out later."""

    mark: str
    factor: float
    has_bar: bool = False


@dataclass(frozen=True, slots=True)
class _End:
    """Where the last bracket of a kind closes."""

    mark: str


class _Break:
    """Where BREAK stands."""


_Step = str | _Bracket | _End | _Break


class _Reader:
    """Takes lexeme by lexeme.

    Attributes:
        steps: what follows what; brackets that are never closed have no end.
        problems: what cannot be run.
    """

    def __init__(self) -> None:
        self.steps: list[_Step] = []
        self.problems: list[_Problem] = []
        self._open: dict[str, list[_Bracket]] = {mark: [] for mark in _FACTORS}

    def take(self, lexeme: re.Match[str]) -> None:
        """Take the next lexeme; what has no meaning where it stands is text."""
        kind, text = lexeme.lastgroup, lexeme[0]
        opening = _OPENINGS.get(text, "")
        if kind == "weight" and self._open["("]:
            self._close("(", self._number(lexeme["weight"]))
        elif kind == "mark" and text in _FACTORS:
            self._begin(text)
        elif kind == "mark" and self._open.get(opening):
            self._close(opening, _FACTORS[opening])
        elif kind == "text":
            self._add(text)
        elif kind != "nothing":
            self.steps.append(lexeme["literal"] or text)

    def _begin(self, mark: str) -> None:
        bracket = _Bracket(mark, _FACTORS[mark])
        self._open[mark].append(bracket)
        self.steps.append(bracket)

    def _close(self, mark: str, factor: float) -> None:
        bracket = self._open[mark].pop()
        bracket.factor = factor
        if mark == "[" and bracket.has_bar:
            self.problems.append(("[one|other] changes it at every step, which is not supported", _AS_TEXT))
        elif mark == "[" and (when := self._when()):
            what = f"[from:to:{when}] changes it between steps, which is not supported"
            self.problems.append((what, f"write what shall hold for all of them; {_AS_TEXT}"))
        self.steps.append(_End(mark))

    def _when(self) -> str:
        """Return the number behind the last colon, if that is what the steps end with."""
        match self.steps[-2:]:
            case [":", str(last)] if _NUMBER.fullmatch(last):
                return last.strip()[:20]
        return ""

    def _add(self, text: str) -> None:
        if "|" in text and self._open["["]:
            self._open["["][-1].has_bar = True
        first, *others = _BREAK.split(text)
        self.steps.append(first)
        for other in others:
            self.steps += [_Break(), other]

    def _number(self, text: str) -> float:
        try:
            return float(text)
        except ValueError:
            self.problems.append((f"{reprlib.repr(text)} is no weight", f"write a number; {_AS_TEXT}"))
            return 1.0


def _read(text: str) -> tuple[Passages, list[_Problem]]:
    text = _COMMENT.sub("", text)
    reader = _Reader()
    for lexeme in _LEXEME.finditer(text):
        reader.take(lexeme)
    passages = tuple(tuple(_merged(parts)) for parts in _weighed(reader.steps))
    too_heavy = (part for part in chain(*passages) if not abs(part.weight) <= MAX_WEIGHT)
    for part in too_heavy:
        what = f"{reprlib.repr(part.text)} weighs {part.weight:.3g}, at most {MAX_WEIGHT:g} is allowed"
        reader.problems.append((what, _AS_TEXT))
    return passages, [*_networks(text), *reader.problems]


def _networks(text: str) -> Iterator[_Problem]:
    """Yield the first network, if there is one."""
    found = _NETWORK.search(text)
    if found and (end := text.find(">", found.end())) > 0:
        tag = reprlib.repr(text[found.start() : end + 1])
        yield f"{tag} loads a network, which a prompt cannot", "load it with the checkpoint: `loras`"


def _weighed(steps: list[_Step]) -> list[list[Part]]:
    """Return the texts with the product of what is open around them; round and square ones may overlap."""
    passages: list[list[Part]] = [[]]
    weights = {mark: [1.0] for mark in _FACTORS}
    for step in steps:
        if isinstance(step, _Bracket):
            weights[step.mark].append(weights[step.mark][-1] * step.factor)
        elif isinstance(step, _End):
            weights[step.mark].pop()
        elif isinstance(step, _Break):
            passages.append([])
        elif step:
            passages[-1].append(Part(step, weights["("][-1] * weights["["][-1]))
    return passages


def _merged(parts: list[Part]) -> Iterator[Part]:
    """Yield the parts with neighbours of one weight in one: what a bracket cut apart is one word again."""
    for weight, group in groupby(parts, key=lambda part: part.weight):
        yield Part("".join(part.text for part in group), weight)
