"""Terms found in a text though letters are doubled and words are broken up or run together."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.resources import files
from itertools import groupby, product

from retouch.safety.normalise import Word, fold

_MAX_LETTERS = 64  # of one word: longer than any term
_MAX_PIECES = 24
"""As many words as one term may be broken into: all its letters, spelled out."""


@dataclass(frozen=True, slots=True)
class Hit:
    """A term, and the words `[start, end)` that spell it."""

    term: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class _Spelling:
    """One way to write a term: how often each letter is repeated, and where its words end."""

    term: str
    runs: tuple[int, ...]
    text: str


@dataclass(slots=True)
class Lexicon:
    """Terms by their letters without repetitions or spaces; filled by `add`, read by `find`.

    Whoever hides a word adds to it: letters are doubled, marks and spaces are put in between, words run together.
    Each of them leaves the order of the letters as it is, and none takes a letter away: `teen` is in `teeen` and
    `te en`, and not in `ten`. What is spelled otherwise than its term is no disguise, though, where all of it are
    English words (`ordinary.txt`): `a pen is`, `a rapper rapping`.
    """

    _whole: dict[str, list[_Spelling]] = field(default_factory=dict)
    _stems: dict[str, list[_Spelling]] = field(default_factory=dict)
    _beginnings: set[str] = field(default_factory=set)

    def add(self, term: str) -> None:
        """Add a term of one or more words; it stands for its plural too, or with `*` for all that begins so."""
        text = fold(term)
        if term.endswith("*"):
            self._add(self._stems, term, text)
        else:
            for ending in ("", "s", "es"):
                self._add(self._whole, term, text + ending)

    def _add(self, table: dict[str, list[_Spelling]], term: str, text: str) -> None:
        letters, runs = _squeezed(text.replace(" ", ""))
        table.setdefault(letters, []).append(_Spelling(term, runs, text))
        self._beginnings.update(letters[:length] for length in range(1, len(letters)))

    def find(self, words: Sequence[Word]) -> Iterator[Hit]:
        """Yield every term in the words; a term may be found several times."""
        for start in range(len(words)):
            before, joined = "", ""
            for end in range(start + 1, min(start + _MAX_PIECES, len(words)) + 1):
                joined += words[end - 1].text[:_MAX_LETTERS]
                letters, runs = _squeezed(joined)
                for spelling in self._spellings(letters, len(before)):
                    if _is_spelled(spelling, runs, words[start:end]):
                        yield Hit(spelling.term, start, end)
                if letters not in self._beginnings:
                    break
                before = letters

    def _spellings(self, letters: str, before: int) -> Iterator[_Spelling]:
        yield from self._whole.get(letters, ())
        # A stem may end anywhere in the last word, and the rest of that word is free.
        for length in range(before + 1, len(letters) + 1):
            yield from self._stems.get(letters[:length], ())


def expand(pattern: str) -> Iterator[str]:
    """Yield every phrase that `naked/nude tree` stands for."""
    yield from map(" ".join, product(*(word.split("/") for word in pattern.split())))


def lines_of(lines: Iterable[str]) -> Iterator[str]:
    """Yield the lines that are neither empty nor comments."""
    return (line for line in lines if line.strip() and not line.startswith("#"))


def _is_spelled(spelling: _Spelling, runs: tuple[int, ...], words: Sequence[Word]) -> bool:
    if any(given < needed for given, needed in zip(runs, spelling.runs)):
        return False
    text = " ".join(word.text for word in words)
    if text.startswith(spelling.text) and (spelling.term.endswith("*") or text == spelling.text):
        return True
    are_glued = len(words) > 1 and all(word.is_glued for word in words[1:])
    return are_glued or not all(word.text in _ordinary() for word in words)


def _squeezed(text: str) -> tuple[str, tuple[int, ...]]:
    """Return the letters without repetitions, and how often each was repeated."""
    runs = [(letter, len(list(run))) for letter, run in groupby(text)]
    return "".join(letter for letter, _ in runs), tuple(count for _, count in runs)


@lru_cache(maxsize=1)
def _ordinary() -> frozenset[str]:
    text = (files("retouch.safety") / "ordinary.txt").read_text(encoding="utf-8")
    return frozenset(word for line in lines_of(text.splitlines()) for word in line.split())
