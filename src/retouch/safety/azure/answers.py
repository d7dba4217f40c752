"""Azure's answers, read strictly: what is not exactly as documented was no answer."""

from collections.abc import Mapping, Sequence

from retouch.safety.azure.settings import CATEGORIES, Levels

SEVERITIES: Mapping[Levels, range] = {4: range(0, 7, 2), 8: range(8)}
"""The values of each scale; a level of four is the even one of the two levels of eight that it covers."""


class UnreadableAnswer(ValueError):
    """The answer has not the documented shape."""


def severities_of(answer: object, levels: Levels) -> dict[str, int]:
    """Return the severity of each of the four categories.

    Raises:
        UnreadableAnswer: one is missing, strange, named twice, or has a severity that its scale does not know.
    """
    found: dict[str, int] = {}
    for entry in _entries(_field(answer, "categoriesAnalysis")):
        category, severity = _field(entry, "category"), _field(entry, "severity")
        if not isinstance(category, str) or category not in CATEGORIES or category in found:
            raise UnreadableAnswer("a category is unknown, or there twice")
        if isinstance(severity, bool) or not isinstance(severity, int) or severity not in SEVERITIES[levels]:
            raise UnreadableAnswer(f"a severity is none of {levels} levels")
        found[str(category)] = severity
    if found.keys() != CATEGORIES.keys():
        raise UnreadableAnswer("a category is missing")
    return found


def hits_blocklist(answer: object) -> bool:
    """Tell whether a text holds a term of a blocklist.

    Raises:
        UnreadableAnswer: the matches are no list.
    """
    matches = answer.get("blocklistsMatch") if isinstance(answer, Mapping) else None
    return matches is not None and len(_entries(matches)) > 0


def threshold_on(levels: Levels, threshold: int) -> int:
    """Return the lowest severity of a scale from which on a threshold of 1..7 refuses.

    Of four levels, an odd threshold is the level below, which covers it; 1 is 2, because 0 covers the harmless.
    """
    return threshold if levels == 8 else max(2, threshold - threshold % 2)


def _field(answer: object, name: str) -> object:
    if not isinstance(answer, Mapping) or name not in answer:
        raise UnreadableAnswer(f"there is no {name}")
    return answer[name]


def _entries(value: object) -> Sequence[object]:
    if not isinstance(value, list):
        raise UnreadableAnswer("a list is none")
    return value
