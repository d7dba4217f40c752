"""What stands before the plan is closed: a refusal, or a screen that fails, lets nothing through."""

from typing import Any

import numpy as np
import pytest
from tests.safety.red import RED, RedChecker, grey

from retouch.errors import Blocked, Unavailable
from retouch.imaging.picture import Picture
from retouch.request import InpaintRequest, SafetyPolicy
from retouch.safety.policy import Score
from retouch.safety.screen import ScreenFinding, ScreenResult
from retouch.safety.screens import screen_input, screen_request
from retouch.safety.views import Exhibit

POLICIES: list[SafetyPolicy] = ["black", "blur", "error"]
UNSAFE = Picture(np.full((64, 64, 3), RED, np.uint8))
SAFE = Picture(grey())


class Screen:
    """Answers, or fails, as told; notes the prompts that it read."""

    name = "told"

    def __init__(self, answer: Any = None) -> None:
        self.answer = ScreenResult("pass") if answer is None else answer
        self.read: list[str] = []

    def screen(self, request: InpaintRequest) -> ScreenResult:
        self.read.append(request.prompt)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer  # type: ignore[no-any-return]


class Service(RedChecker):
    """A checker that is paid by the call."""

    name, is_local = "service", False

    def __init__(self) -> None:
        self.seen: list[Picture] = []

    def check(self, exhibit: Exhibit) -> list[Score]:
        self.seen.append(exhibit.picture)
        return super().check(exhibit)


class Broken(RedChecker):
    name = "broken"

    def check(self, exhibit: Exhibit) -> list[Score]:
        raise RuntimeError("out of order")


def asking(prompt: str = "a cat", **fields: Any) -> InpaintRequest:
    return InpaintRequest(prompt, grey(), **fields)


REFUSAL = ScreenResult("block", (ScreenFinding("self_harm", ("x",)),), "1", "negative prompt")


def test_every_screen_reads_a_request_after_the_words_let_it_pass() -> None:
    one, two = Screen(), Screen()
    screen_request(asking("a dog"), [one, two])
    assert one.read == two.read == ["a dog"]
    with pytest.raises(Blocked, match="the prompt is refused: sexual"):
        screen_request(asking("a naked woman"), [one])
    assert one.read == ["a dog"]


@pytest.mark.parametrize("policy", POLICIES)
def test_one_refusal_is_enough_and_names_text_and_category(policy: SafetyPolicy) -> None:
    after = Screen()
    with pytest.raises(Blocked, match="the negative prompt is refused: self harm"):
        screen_request(asking(safety=policy), [Screen(), Screen(REFUSAL), after])
    assert after.read == []


def test_under_off_only_the_words_that_are_never_allowed_are_looked_for() -> None:
    service = Screen(REFUSAL)
    screen_request(asking("a naked woman", safety="off"), [service])
    assert service.read == []
    with pytest.raises(Blocked):
        screen_request(asking("a naked child", safety="off"), [service])


@pytest.mark.parametrize("answer", [RuntimeError("a cat"), "pass", True, ScreenResult("maybe")])  # type: ignore[arg-type]
def test_a_screen_that_does_not_say_pass_lets_nothing_through(answer: Any) -> None:
    with pytest.raises((Unavailable, Blocked)):
        screen_request(asking(), [Screen(answer)])


def test_a_service_that_is_away_says_when_to_come_again_and_no_more() -> None:
    away = RuntimeError("internal name of the service")
    away.retry_after_s = 12.0  # type: ignore[attr-defined]
    with pytest.raises(Unavailable) as caught:
        screen_request(asking(), [Screen(away)])
    assert caught.value.retry_after_s == 12.0
    assert "internal" not in f"{caught.value} {caught.value.hint}"


@pytest.mark.parametrize("policy", POLICIES)
def test_an_unsafe_picture_that_comes_in_is_refused_under_every_policy_but_off(policy: SafetyPolicy) -> None:
    screen_input(SAFE, None, [RedChecker()], policy)
    with pytest.raises(Blocked, match="the picture that came in was refused by the safety checker red"):
        screen_input(UNSAFE, None, [RedChecker()], policy)
    screen_input(UNSAFE, None, [RedChecker()], "off")


@pytest.mark.parametrize("checkers", [[], [Broken()], [RedChecker(), Broken()]])
def test_an_input_that_nobody_could_check_is_not_worked_on(checkers: list[RedChecker]) -> None:
    with pytest.raises(Unavailable):
        screen_input(SAFE, None, checkers, "black")


def test_an_unsafe_edge_of_a_long_input_is_found() -> None:
    pixels = grey(300, 2000)
    pixels[:, 1960:] = RED
    with pytest.raises(Blocked):
        screen_input(Picture(pixels), None, [RedChecker()], "black")


def test_masks_are_shown_to_services_alone_and_as_they_came_in() -> None:
    service, mask = Service(), Picture(np.full((64, 64, 3), RED, np.uint8))
    screen_input(SAFE, mask, [RedChecker()], "black")
    with pytest.raises(Blocked, match="the mask that came in was refused by the safety checker service"):
        screen_input(SAFE, mask, [RedChecker(), service], "black")
    assert service.seen == [SAFE, mask]
    screen_input(SAFE, None, [RedChecker(), service], "black")
    assert len(service.seen) == 3
