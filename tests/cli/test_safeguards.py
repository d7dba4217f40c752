"""`--screen-input` and `--content-safety`: what they ask for happens, and what they cannot do is told early."""

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.safety.azure.service import ContentSafetyService, error
from typer.testing import Result

Run = Callable[..., Result]


def test_content_safety_is_asked_of_everything_that_comes_in_and_goes_out(
    fill: Run, service: ContentSafetyService
) -> None:
    done = fill("-o", "out.png", "--content-safety", "--negative-prompt", "a dog")
    assert done.exit_code == 0, done.stderr
    assert [call.body.get("text", "a picture") for call in service.calls] == [
        "a red apple", "a dog", "a picture", "a picture", "a picture",
    ]  # fmt: skip


def test_without_the_option_the_environment_sends_nothing(fill: Run, service: ContentSafetyService) -> None:
    assert fill("-o", "out.png", "--screen-input").exit_code == 0
    assert service.calls == []


def test_what_the_service_refuses_ends_with_3_and_no_file(fill: Run, service: ContentSafetyService) -> None:
    done = fill("-o", "out.png", "--content-safety", "--negative-prompt", "violence6")
    assert done.exit_code == 3
    assert "the negative prompt is refused: violence" in done.stderr
    assert not Path("out.png").exists()


def test_a_service_that_fails_ends_with_1_and_no_file(fill: Run, service: ContentSafetyService) -> None:
    service.script.append(error(403, "403"))
    done = fill("-o", "out.png", "--content-safety")
    assert done.exit_code == 1
    assert "could not be screened" in done.stderr
    assert not Path("out.png").exists()


@pytest.mark.parametrize("option", ["--screen-input", "--content-safety"])
def test_a_policy_that_would_switch_it_off_is_a_contradiction(
    fill: Run, service: ContentSafetyService, option: str
) -> None:
    done = fill("-o", "out.png", option, "--safety", "off")
    assert done.exit_code == 2
    assert option in done.stderr


def test_a_service_that_is_not_configured_is_bad_usage(fill: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CONTENT_SAFETY_ENDPOINT", raising=False)
    done = fill("-o", "out.png", "--content-safety")
    assert done.exit_code == 2
    assert "CONTENT_SAFETY_ENDPOINT" in done.stderr
