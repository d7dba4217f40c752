"""The progress of a training run."""

import pytest

from retouch.cli.training_bar import describe, reporting

LINE = {"step": 50.0, "loss": 0.25, "rate": 61.5, "eta_s": 3700.0}


def test_report_names_phase_step_loss_rate_and_time_to_go() -> None:
    assert describe("inpaint", 400, LINE) == "inpaint 50/400  loss 0.2500  61.5/s  1:01:40 to go"


def test_first_report_has_no_rate_yet() -> None:
    assert describe("inpaint", 400, {"step": 50, "loss": 0.25}) == "inpaint 50/400  loss 0.2500"


def test_without_a_terminal_each_report_is_a_line_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    with reporting() as report:
        report("inpaint", 400, LINE)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("inpaint 50/400")
