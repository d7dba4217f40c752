import sys
from dataclasses import dataclass

import pytest

from retouch.cli.progress import PLAIN_EVERY_S, plain, watching


@dataclass(frozen=True)
class At:
    step: int
    total: int = 30


def test_plain_lines_come_no_closer_than_their_interval(capsys: pytest.CaptureFixture[str]) -> None:
    now = 0.0
    show = plain("repainting", clock=lambda: now)
    for step in range(1, 7):
        now += PLAIN_EVERY_S / 2
        show(At(step))
    lines = capsys.readouterr().err.splitlines()
    assert lines == [f"repainting: step {step} of 30" for step in (2, 4, 6)]


def test_quick_work_writes_nothing_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with watching("repainting") as watch:
        watch(At(1))
    assert capsys.readouterr() == ("", "")


def test_a_terminal_gets_a_bar_on_stderr_alone(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    with watching("repainting") as watch:
        watch(At(3))
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "repainting" in shown.err
