import json

from retouch.evaluate.report import Report
from retouch.evaluate.report_files import write


def test_three_files_are_written(tmp_path):
    report = Report(title="a report", protocol="pocket", settings={"seed": 3}, measures={}, painters=())
    write(report, tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "report.html",
        "report.json",
        "report.md",
    ]
    assert json.loads((tmp_path / "out" / "report.json").read_text())["settings"] == {"seed": 3}
    for name in ("report.html", "report.md"):
        assert "a report" in (tmp_path / "out" / name).read_text()
