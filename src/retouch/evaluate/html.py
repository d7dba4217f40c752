"""The report as one HTML page that needs nothing from other hosts."""

from collections.abc import Iterable, Mapping
from html import escape

from retouch.evaluate.bootstrap import Estimate
from retouch.evaluate.report import VARIETY_TITLE, Report, format_estimate, shown_measures

_STYLE = """
:root { color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif; }
body { max-width: 75rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; display: block; overflow-x: auto; margin: 1rem 0; }
th, td { padding: .3rem .7rem; border-bottom: 1px solid #8886; text-align: right; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
td small { opacity: .7; }
img { max-width: 100%; height: auto; }
figure { margin: 1.5rem 0; }
"""


def to_html(report: Report) -> str:
    """Return the page; every text in it is escaped."""
    body = [f"<h1>{escape(report.title)}</h1>"]
    for group in report.painters[0].scores if report.painters else ():
        meaning = report.groups.get(group, "")
        body.append(f"<h2>{escape(group)}</h2><p>{escape(meaning)}</p>")
        rows = {painter.name: painter.scores.get(group, {}) for painter in report.painters}
        body.append(_table(rows, shown_measures(report, group), report.measures))
    body += _titled(VARIETY_TITLE, report.variety, report.measures)
    body += _titled("What the judge itself is worth", report.judge, report.measures)
    first = report.painters[0].name if report.painters else ""
    body += _titled(f"{first} minus the others, over the same cases", report.differences, report.measures)
    for name, caption in report.sheets:
        source = f'<img src="{escape(name, quote=True)}" alt="{escape(caption, quote=True)}" loading="lazy">'
        body.append(f"<figure>{source}<figcaption>{escape(caption)}</figcaption></figure>")
    body.append("<h2>Measures</h2>" + _list(f"{name}: {text}" for name, text in report.measures.items()))
    if report.notes:
        body.append("<h2>Notes</h2>" + _list(report.notes))
    settings = {**report.settings, **report.made_with}
    body.append("<h2>Settings</h2>" + _list(f"{name}: {value}" for name, value in settings.items()))
    return _page(report.title, "\n".join(body))


def _page(title: str, body: str) -> str:
    head = (
        f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{escape(title)}</title>'
    )
    head += f"<style>{_STYLE}</style>"
    return f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body>{body}</body></html>\n'


def _titled(title: str, rows: Mapping[str, Mapping[str, Estimate]], measures: Mapping[str, str]) -> list[str]:
    if not rows:
        return []
    names = list(dict.fromkeys(name for scores in rows.values() for name in scores))
    return [f"<h2>{escape(title)}</h2>", _table(rows, names, measures)]


def _table(rows: Mapping[str, Mapping[str, Estimate]], names: list[str], measures: Mapping[str, str]) -> str:
    head = "".join(
        f'<th title="{escape(measures.get(name, ""), quote=True)}">{escape(name)}</th>' for name in names
    )
    lines = [f"<table><thead><tr><th></th>{head}</tr></thead><tbody>"]
    for row, scores in rows.items():
        cells = "".join(f"<td>{_cell(name, scores.get(name))}</td>" for name in names)
        lines.append(f"<tr><td>{escape(row)}</td>{cells}</tr>")
    return "".join([*lines, "</tbody></table>"])


def _cell(name: str, estimate: Estimate | None) -> str:
    value, _, interval = ("–" if estimate is None else format_estimate(name, estimate)).partition(" ")
    return escape(value) + (f" <small>{escape(interval)}</small>" if interval else "")


def _list(items: Iterable[str]) -> str:
    return "<ul>" + "".join(f"<li>{escape(item)}</li>" for item in items) + "</ul>"
