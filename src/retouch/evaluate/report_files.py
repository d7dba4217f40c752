"""The three files of a report."""

from pathlib import Path

from retouch.evaluate.html import to_html
from retouch.evaluate.report import Report, to_json, to_markdown


def write(report: Report, folder: Path) -> None:
    """Write `report.json`, `report.md` and `report.html` into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.json").write_text(to_json(report), encoding="utf-8")
    (folder / "report.md").write_text(to_markdown(report), encoding="utf-8")
    (folder / "report.html").write_text(to_html(report), encoding="utf-8")
