"""What stands before the plan: screens that read a request, checkers that look at its pictures.

Nothing passes by a failure: what could not be screened is not run, and the caller may come again.
"""

import logging
from collections.abc import Sequence
from typing import Protocol

from retouch.errors import Blocked, Unavailable
from retouch.imaging.picture import Picture
from retouch.request import InpaintRequest, SafetyPolicy
from retouch.safety.checkers import ImageChecker, is_local
from retouch.safety.judge import inspect
from retouch.safety.policy import Verdict, names_in
from retouch.safety.screen import ScreenResult, screen_prompt
from retouch.safety.views import Exhibit

logger = logging.getLogger(__name__)


class RequestScreen(Protocol):
    """Reads the words of a request, before any other work.

    What it cannot read it must not pass over: any exception counts as a request that was not screened. One with
    `retry_after_s` says when to come again. Implementations may be called from several threads.
    """

    @property
    def name(self) -> str: ...

    def screen(self, request: InpaintRequest) -> ScreenResult:
        """Return what it found; a screen decides itself which of the texts it reads."""
        ...


def screen_request(request: InpaintRequest, screens: Sequence[RequestScreen]) -> None:
    """Let every screen read a request: the package's own words first, and always; the others not under `off`.

    Raises:
        Blocked: one of them refuses it; under every policy.
        Unavailable: one of them could not read it.
    """
    screen_prompt(request.prompt, request.safety).enforce()
    if request.safety != "off":
        for screen in screens:
            _read(screen, request).enforce()


def screen_input(
    picture: Picture, mask_picture: Picture | None, checkers: Sequence[ImageChecker], policy: SafetyPolicy
) -> None:
    """Let the checkers look at what came in, unless the policy is `off`.

    A refused input is an error under every other policy: it is the caller's own picture, so there is nothing to
    black out. The mask, as it came in, is shown to services alone: small classifiers know no masks.

    Args:
        mask_picture: None where there was no mask of its own.
    Raises:
        Blocked: a picture is refused.
        Unavailable: a picture could not be checked.
    """
    if policy == "off":
        return
    _enforce("picture", inspect(Exhibit(picture), checkers, policy))
    services = [checker for checker in checkers if not is_local(checker)]
    if mask_picture is not None and services:
        _enforce("mask", inspect(Exhibit(mask_picture), services, policy))


def _read(screen: RequestScreen, request: InpaintRequest) -> ScreenResult:
    try:
        result = screen.screen(request)
        if not isinstance(result, ScreenResult):
            raise TypeError(f"a screen returned {type(result).__name__}")
        return result
    except Exception as error:
        # Whatever went wrong inside a screen, the request was not screened.
        logger.exception("the screen %s failed", screen.name)
        after = getattr(error, "retry_after_s", None)
        raise Unavailable(
            "the prompt could not be screened", hint="try again later", retry_after_s=after
        ) from error


def _enforce(what: str, verdict: Verdict) -> None:
    if verdict.decision == "flag":
        raise Blocked(
            f"the {what} that came in was refused by the safety checker {names_in(verdict)}",
            hint="another picture; the operator decides whether input is screened",
        )
    if verdict.decision != "pass":
        raise Unavailable(f"the {what} that came in could not be checked", hint="try again later")
