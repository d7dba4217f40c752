"""What the prompt screen looks for: weighted terms, terms near one another, and phrases that are harmless."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.resources import files
from itertools import pairwise, product

from retouch.safety.lexicon import Hit, Lexicon, expand, lines_of
from retouch.safety.normalise import Word

ALWAYS = frozenset({"sexual_minors"})
CATEGORIES = ALWAYS | {"sexual", "violence", "hate", "self_harm"}
MINORS = "minors"

Weighed = dict[str, dict[str, float]]
"""Category -> term -> weight; a term counts once, however often it is said."""

_WORDS_BETWEEN = 3  # two terms near one another
_PHRASE_GAP = 4  # words that `~` stands for in a phrase
_MAX_EXCUSES = 2
"""Different harmless phrases that count in one category: more of them in one prompt are no accident."""


@dataclass(frozen=True, slots=True)
class Term:
    """What counts for a category: one of some words, or one of some near one of others."""

    category: str
    weight: float
    groups: tuple[frozenset[str], ...]


@dataclass(frozen=True, slots=True)
class Phrase:
    """A harmless phrase; `is_adult`: it may be about a body, and beside a minor it excuses nothing."""

    words: tuple[str, ...]
    is_adult: bool


@dataclass(frozen=True, slots=True)
class _Excuse:
    phrase: Phrase
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Rules:
    """Compiled terms and harmless phrases (by their first word)."""

    terms: tuple[Term, ...]
    lexicon: Lexicon
    phrases: dict[str, list[Phrase]] = field(default_factory=dict)

    def weigh(self, words: Sequence[Word], *, beside_minors: bool = False) -> Weighed:
        """Return what the words say, without what harmless phrases explain.

        Args:
            beside_minors: one harmless phrase counts, and none about bodies.
        """
        hits: dict[str, list[Hit]] = {}
        for hit in self.lexicon.find(words):
            hits.setdefault(hit.term, []).append(hit)
        excuses = [e for e in self._excuses(words) if not (beside_minors and e.phrase.is_adult)]
        limit = 1 if beside_minors else _MAX_EXCUSES
        said: dict[str, list[tuple[float, tuple[Hit, ...]]]] = {}
        for term in self.terms:
            said.setdefault(term.category, []).extend((term.weight, found) for found in _occurrences(term, hits))
        weighed = {category: _counted(found, excuses, limit) for category, found in said.items()}
        return {category: terms for category, terms in weighed.items() if terms}

    def _excuses(self, words: Sequence[Word]) -> Iterator[_Excuse]:
        texts = [word.text for word in words]
        for start, first in enumerate(texts):
            for phrase in self.phrases.get(first, ()):
                end = _end_of(phrase.words, texts, start)
                if end is not None:
                    yield _Excuse(phrase, start, end)


@lru_cache(maxsize=1)
def default_rules() -> Rules:
    """Return the package's own rules, read once."""
    home = files("retouch.safety")
    return compile_rules(
        (home / "terms.tsv").read_text(encoding="utf-8").splitlines(),
        (home / "contexts.txt").read_text(encoding="utf-8").splitlines(),
    )


def compile_rules(terms: Iterable[str], contexts: Iterable[str]) -> Rules:
    """Compile rules from lines: `category <tab> weight <tab> term`, and one harmless phrase a line.

    A term matches whole words and their plural. `*` ends a stem; `red/blue car` stands for both; `car ~ crash` for
    the two within a few words of each other, in either order. A phrase may be followed by a tab and `adults`
    (`Phrase.is_adult`). Lines that start with `#` are comments.
    """
    lexicon = Lexicon()
    compiled = tuple(_term(line) for line in lines_of(terms))
    for word in sorted({word for term in compiled for group in term.groups for word in group}):
        lexicon.add(word)
    phrases: dict[str, list[Phrase]] = {}
    for phrase in _phrases(lines_of(contexts)):
        phrases.setdefault(phrase.words[0], []).append(phrase)
    return Rules(compiled, lexicon, phrases)


def _term(line: str) -> Term:
    category, weight, pattern = line.split("\t")
    return Term(category, float(weight), tuple(frozenset(expand(group)) for group in pattern.split(" ~ ")))


def _phrases(lines: Iterable[str]) -> Iterator[Phrase]:
    for line in lines:
        pattern, _, mark = line.partition("\t")
        for phrase in expand(pattern):
            for ending in ("", "s"):
                yield Phrase((*phrase.split()[:-1], phrase.split()[-1] + ending), mark == "adults")


def _end_of(phrase: Sequence[str], texts: Sequence[str], start: int) -> int | None:
    """Return where the phrase that begins at `start` ends, or None where it does not stand there."""
    if not phrase:
        return start
    if phrase[0] != "~":
        return _end_of(phrase[1:], texts, start + 1) if texts[start : start + 1] == [phrase[0]] else None
    ends = (_end_of(phrase[1:], texts, start + skipped) for skipped in range(_PHRASE_GAP + 1))
    return next((end for end in ends if end is not None), None)


def _occurrences(term: Term, hits: dict[str, list[Hit]]) -> Iterator[tuple[Hit, ...]]:
    groups = [[hit for word in group & hits.keys() for hit in hits[word]] for group in term.groups]
    for found in product(*groups):
        ordered = sorted(found, key=lambda hit: hit.start)
        if all(0 <= after.start - before.end <= _WORDS_BETWEEN for before, after in pairwise(ordered)):
            yield tuple(ordered)


def _counted(
    found: Sequence[tuple[float, tuple[Hit, ...]]], excuses: Sequence[_Excuse], limit: int
) -> dict[str, float]:
    """Return the weights of what no excuse covers; only the first few phrases that cover something count."""
    covering = [
        e for e in excuses if any(e.start <= hit.start and hit.end <= e.end for _, hits in found for hit in hits)
    ]
    allowed = list(dict.fromkeys(e.phrase.words for e in covering))[:limit]
    good = [e for e in covering if e.phrase.words in allowed]
    weights: dict[str, float] = {}
    for weight, hits in found:
        if not any(e.start <= hit.start and hit.end <= e.end for hit in hits for e in good):
            name = " ~ ".join(hit.term for hit in hits)
            weights[name] = max(weight, weights.get(name, 0))
    return weights
