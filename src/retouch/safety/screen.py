"""The prompt screen: weighted terms by category, read through disguises, harmless contexts left out.

A first line and nothing more: it knows English words, no meanings. It blocks only what is plain; what it lets
pass is judged as a picture (`retouch.safety.judge`), and a deployer puts a moderation service behind it.
"""

from dataclasses import dataclass
from typing import Any, Literal

from retouch.errors import Blocked
from retouch.prompts import said
from retouch.request import SafetyPolicy
from retouch.safety.ages import ages_of_minors
from retouch.safety.normalise import Word, readings
from retouch.safety.rules import ALWAYS, CATEGORIES, MINORS, Rules, default_rules

VERSION = "2"
BLOCK_AT = 1.0
_HINT = "word it differently; the safety policy `off` screens for sexual content with minors alone"

# With a word for a minor, a single faint sexual term is enough.
_MINOR_AT = 0.3


@dataclass(frozen=True, slots=True)
class ScreenFinding:
    """A category that blocks, and the terms that spoke for it (for the operator, not for clients)."""

    category: str
    terms: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ScreenResult:
    """The outcome of screening a text; `subject` names which."""

    decision: Literal["pass", "block"]
    findings: tuple[ScreenFinding, ...] = ()
    version: str = VERSION
    subject: str = "prompt"

    def as_dict(self) -> dict[str, Any]:
        """Return what clients and metadata may hold: the categories, not the terms."""
        return {
            "decision": self.decision,
            "categories": [finding.category for finding in self.findings],
            "version": self.version,
        }

    def enforce(self) -> None:
        """Raise unless the text passes.

        Raises:
            Blocked: names the categories; a blocked text is refused under every policy.
        """
        if self.decision != "pass":
            names = ", ".join(finding.category.replace("_", " ") for finding in self.findings)
            raise Blocked(f"the {self.subject} is refused: {names}", hint=_HINT)


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
    # Weights can cut a word apart, or let an excuse stand there and hardly be seen.
    for wording in dict.fromkeys((text, *said(text))):
        for reading in readings(wording):
            for category, terms in _weigh(reading, rules).items():
                weighed.setdefault(category, {}).update(terms)
    blocked = [
        ScreenFinding(category, tuple(sorted(weighed[category])))
        for category in sorted(categories_for(policy) & weighed.keys())
        if sum(weighed[category].values()) >= BLOCK_AT
    ]
    return ScreenResult("block" if blocked else "pass", tuple(blocked))


def _weigh(words: tuple[Word, ...], rules: Rules) -> dict[str, dict[str, float]]:
    """Return category -> term -> weight; the same term counts once."""
    weighed = rules.weigh(words)
    minors = {**weighed.pop(MINORS, {}), **dict.fromkeys(ages_of_minors(words), BLOCK_AT)}
    if minors:
        strict = rules.weigh(words, beside_minors=True).get("sexual", {})
        if sum(strict.values()) >= _MINOR_AT:
            weighed.setdefault("sexual_minors", {}).update(dict.fromkeys(minors, BLOCK_AT))
    return weighed
