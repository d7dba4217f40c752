"""The prompt screen: weighted terms by category, read through disguises, harmless contexts taken out first.

A first line and nothing more: it knows English words, no meanings. It blocks only what is plain; what it lets
pass is judged as a picture (`retouch.safety.judge`), and a deployer puts a moderation service behind it.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any, Literal

from retouch.errors import Blocked
from retouch.request import SafetyPolicy
from retouch.safety.normalise import fold, readings

VERSION = "1"
ALWAYS = frozenset({"sexual_minors"})
CATEGORIES = ALWAYS | {"sexual", "violence", "hate", "self_harm"}
BLOCK_AT = 1.0

# With a word for a minor, a single faint sexual term is enough.
_MINOR_AT = 0.3
_AGE = re.compile(r"\b(?:[1-9]|1[0-7]) ?(?:yo|y o|yr old|yrs old|year old|years old|years of age)\b")


@dataclass(frozen=True, slots=True)
class Rules:
    """Compiled terms and contexts: one pattern for each (category, weight)."""

    terms: tuple[tuple[str, float, re.Pattern[str]], ...]
    contexts: re.Pattern[str]


@dataclass(frozen=True, slots=True)
class ScreenFinding:
    """A category that blocks, and the terms that spoke for it (for the operator, not for clients)."""

    category: str
    terms: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ScreenResult:
    """The outcome of screening one prompt."""

    decision: Literal["pass", "block"]
    findings: tuple[ScreenFinding, ...] = ()
    version: str = VERSION

    def as_dict(self) -> dict[str, Any]:
        """Return what clients and metadata may hold: the categories, not the terms."""
        return {
            "decision": self.decision,
            "categories": [finding.category for finding in self.findings],
            "version": self.version,
        }

    def enforce(self) -> None:
        """Raise if the prompt is blocked.

        Raises:
            Blocked: names the categories; a blocked prompt is refused under every policy.
        """
        if self.decision == "block":
            names = ", ".join(finding.category.replace("_", " ") for finding in self.findings)
            raise Blocked(f"the prompt is refused: {names}", hint="word it differently; harmless use is not meant")


def categories_for(policy: SafetyPolicy) -> frozenset[str]:
    """Return the categories that a policy screens: all, or under `off` only those that are never allowed."""
    return ALWAYS if policy == "off" else CATEGORIES


def screen_prompt(text: str, policy: SafetyPolicy = "black", *, rules: Rules | None = None) -> ScreenResult:
    """Screen a prompt. A negative prompt is not screened: what it names is to be absent.

    Args:
        text: the prompt, of any length that `request.validate` lets pass.
        rules: other terms than the package's own (`compile_rules`).
    """
    rules = rules or default_rules()
    weighed: dict[str, dict[str, float]] = {}
    for reading in readings(text):
        for category, hits in _weigh(reading, rules).items():
            weighed.setdefault(category, {}).update(hits)
    blocked = [
        ScreenFinding(category, tuple(sorted(weighed[category])))
        for category in sorted(categories_for(policy) & weighed.keys())
        if sum(weighed[category].values()) >= BLOCK_AT
    ]
    return ScreenResult("block" if blocked else "pass", tuple(blocked))


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

    A term matches whole words and their plural; `*` ends a stem. Lines that start with `#` are comments.
    """
    groups: dict[tuple[str, float], list[str]] = {}
    for line in terms:
        if line.strip() and not line.startswith("#"):
            category, weight, term = line.split("\t")
            groups.setdefault((category, float(weight)), []).append(_term_pattern(term))
    phrases = [fold(line) for line in contexts if line.strip() and not line.startswith("#")]
    longest_first = sorted(phrases, key=len, reverse=True)
    return Rules(
        terms=tuple((*key, re.compile(rf"\b(?:{'|'.join(parts)})\b")) for key, parts in groups.items()),
        contexts=re.compile(rf"\b(?:{'|'.join(longest_first) or '(?!)'})s?\b"),
    )


def _term_pattern(term: str) -> str:
    stem = fold(term)
    return stem + ("[a-z]*" if term.endswith("*") else "(?:s|es)?")


def _weigh(reading: str, rules: Rules) -> dict[str, dict[str, float]]:
    """Return category -> matched term -> weight; the same word counts once."""
    text = rules.contexts.sub(" ", reading)
    weighed: dict[str, dict[str, float]] = {}
    for category, weight, pattern in rules.terms:
        for match in pattern.finditer(text):
            weighed.setdefault(category, {})[match[0]] = weight
    minors = {**weighed.pop("minors", {}), **{match[0]: 1.0 for match in _AGE.finditer(text)}}
    if minors and sum(weighed.get("sexual", {}).values()) >= _MINOR_AT:
        weighed.setdefault("sexual_minors", {}).update(dict.fromkeys(minors, BLOCK_AT))
    return weighed
