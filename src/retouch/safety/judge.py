"""The verdict on a finished picture: checked in all its views, closed where the check fails."""

import logging
import math
from collections.abc import Sequence

import numpy as np

from retouch.errors import NonFinite
from retouch.imaging.picture import Picture
from retouch.request import SafetyPolicy
from retouch.safety.checkers import ImageChecker
from retouch.safety.policy import Bucket, Finding, Verdict, enforce
from retouch.safety.views import Box, View, views_of

logger = logging.getLogger(__name__)


def verdict(
    picture: Picture, checker: ImageChecker | None, policy: SafetyPolicy, *, focus: Box | None = None
) -> tuple[Verdict, Picture]:
    """Judge what is about to be handed out, and return it with the verdict, or its stand-in.

    Call it after compositing, with the picture at full size, off the engine's thread.

    Args:
        checker: None under any policy but `off` counts as a check that failed.
        focus: the box of the repainted part.
    Raises:
        Blocked: the picture was refused, or could not be checked, and the policy is `error`.
        NonFinite: the pixels are no integers; a failed generation is never taken for an unsafe picture.
    """
    if not np.issubdtype(picture.pixels.dtype, np.integer):
        raise NonFinite("the picture to be judged was never quantised")
    outcome = Verdict("off", policy) if policy == "off" else inspect(picture, checker, policy, focus=focus)
    return outcome, enforce(picture, outcome)


def inspect(
    picture: Picture, checker: ImageChecker | None, policy: SafetyPolicy, *, focus: Box | None = None
) -> Verdict:
    """Check a picture without acting on it; a check that fails is a `failed` verdict."""
    if checker is None:
        return Verdict("failed", policy, findings=(Finding("check_failed"),))
    try:
        views = views_of(picture, focus)
        scores = _checked(checker.scores([view.pixels for view in views]), len(views))
    except Exception:
        # Whatever went wrong inside a checker, the picture was not checked.
        logger.exception("the safety checker %s failed", checker.name)
        return Verdict("failed", policy, checker=checker.name, findings=(Finding("check_failed"),))
    return _decide(checker, policy, views, scores)


def _decide(
    checker: ImageChecker, policy: SafetyPolicy, views: Sequence[View], scores: tuple[float, ...]
) -> Verdict:
    findings = tuple(
        Finding("nsfw", view.name, "high") for view, score in zip(views, scores) if score >= checker.threshold
    )
    return Verdict(
        decision="flag" if findings else "pass",
        policy=policy,
        checker=checker.name,
        checker_version=checker.version,
        threshold=checker.threshold,
        bucket=_bucket(max(scores), checker),
        findings=findings,
        scores=scores,
    )


def _checked(scores: Sequence[float], count: int) -> tuple[float, ...]:
    if len(scores) != count:
        raise ValueError(f"{count} views, {len(scores)} scores")
    result = tuple(float(score) for score in scores)
    if not all(math.isfinite(score) for score in result):
        raise ValueError("a score is not finite")
    return result


def _bucket(score: float, checker: ImageChecker) -> Bucket:
    if score >= checker.threshold:
        return "high"
    return "near" if score >= checker.near else "low"
