"""The verdict on a finished picture: every checker must let it pass, and a check that fails lets nothing pass."""

import logging
import math
from collections.abc import Sequence

import numpy as np

from retouch.errors import NonFinite
from retouch.imaging.picture import Picture
from retouch.request import SafetyPolicy
from retouch.safety.checkers import ImageChecker
from retouch.safety.policy import Check, Finding, Verdict, enforce
from retouch.safety.views import Exhibit

logger = logging.getLogger(__name__)


def verdict(exhibit: Exhibit, checkers: Sequence[ImageChecker], policy: SafetyPolicy) -> tuple[Verdict, Picture]:
    """Judge what is about to be handed out, and return it with the verdict, or its stand-in.

    Call it after compositing, with the picture at full size, off the engine's thread.

    Args:
        checkers: none under any policy but `off` counts as a check that failed.
    Raises:
        Blocked: the picture was refused, or could not be checked, and the policy is `error`.
        NonFinite: the pixels are no integers; a failed generation is never taken for an unsafe picture.
    """
    if not np.issubdtype(exhibit.picture.pixels.dtype, np.integer):
        raise NonFinite("the picture to be judged was never quantised")
    outcome = Verdict("off", policy) if policy == "off" else inspect(exhibit, checkers, policy)
    return outcome, enforce(exhibit.picture, outcome)


def inspect(exhibit: Exhibit, checkers: Sequence[ImageChecker], policy: SafetyPolicy) -> Verdict:
    """Check a picture without acting on it; a check that fails is a `failed` verdict."""
    checks = tuple(_check(exhibit, checker) for checker in checkers)
    findings = tuple(finding for check in checks for finding in check.findings())
    if not checks:
        findings = (Finding("", "check_failed"),)
    if any(finding.category != "check_failed" for finding in findings):
        return Verdict("flag", policy, checks, findings)
    return Verdict("failed" if findings else "pass", policy, checks, findings)


def _check(exhibit: Exhibit, checker: ImageChecker) -> Check:
    try:
        scores = tuple(checker.check(exhibit))
        if not scores:
            raise ValueError("nothing was scored")
        if not all(math.isfinite(score.value) for score in scores):
            raise ValueError("a score is not finite")
        return Check(checker.name, checker.version, scores)
    except Exception:
        # Whatever went wrong inside a checker, the picture was not checked.
        logger.exception("the safety checker %s failed", checker.name)
        return Check(checker.name, "")
