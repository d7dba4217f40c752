"""The log of a run."""

import json
from pathlib import Path

from retouch.train.progress import RunLog


def test_report_holds_means_since_the_last_report_rate_and_time_to_go(tmp_path: Path) -> None:
    times = iter([0.0, 10.0])
    log = RunLog(tmp_path / "log.jsonl", total=1000, clock=lambda: next(times))
    log.note(loss=1.0)
    log.report(step=1, samples=100)
    log.note(loss=2.0)
    log.note(loss=4.0)
    line = log.report(step=3, samples=300)
    assert line == {"step": 3, "samples": 300, "loss": 3.0, "rate": 20.0, "eta_s": 35}
    assert [json.loads(text) for text in (tmp_path / "log.jsonl").read_text().splitlines()][1] == line
