"""`retouch serve --deployment`: options come before the file, the environment before its variables."""

import os
from pathlib import Path
from typing import Any

import pytest

from retouch.cli.deployments import as_deployed

GIVEN: dict[str, Any] = {"device": "cpu", "model": None, "content_safety": None, "error_profile": None}


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("CONTENT_SAFETY_ENDPOINT", "RETOUCH_ERROR_PROFILE"):
        monkeypatch.setenv(name, "")  # so that what the file sets is taken back
        monkeypatch.delenv(name)
    path = tmp_path / "deployment.yml"
    path.write_text(
        "name: one\nmodel: {path: model}\ninstance_count: 2\nrequest_settings: {request_timeout_ms: 5000}\n"
        "environment_variables: {CONTENT_SAFETY_ENDPOINT: 'https://a', RETOUCH_ERROR_PROFILE: azure}\n"
    )
    return path


def test_the_file_fills_in_what_no_option_says(path: Path) -> None:
    options = as_deployed(path, GIVEN)
    assert options["model"] == str(path.parent / "model")
    assert options["deadline_s"] == 5.0
    assert options["device"] == "cpu,cpu"
    assert options["content_safety"] is True
    assert os.environ["RETOUCH_ERROR_PROFILE"] == "azure"


def test_an_option_and_the_environment_come_before_the_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONTENT_SAFETY_ENDPOINT", "https://mine")
    options = as_deployed(path, {**GIVEN, "model": "mine", "device": "cpu,cuda:0,cuda:1"})
    assert (options["model"], options["device"]) == ("mine", "cpu,cuda:0,cuda:1")
    assert os.environ["CONTENT_SAFETY_ENDPOINT"] == "https://mine"


def test_what_has_no_meaning_here_is_told(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path.write_text("instance_type: STANDARD_NC4AS_T4_V3\n")
    as_deployed(path, GIVEN)
    assert capsys.readouterr().err.splitlines() == [
        "--deployment: instance_type has no meaning here: this machine is what it is"
    ]
