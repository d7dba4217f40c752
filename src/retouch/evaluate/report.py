"""What an evaluation says: one value that becomes JSON, Markdown and HTML."""

import json
import math
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from retouch import __version__
from retouch.evaluate.bootstrap import Estimate
from retouch.evaluate.judge_check import Confusion
from retouch.evaluate.scoring import Scores

PERCENT = frozenset(
    {
        *("object_top1", "object_top5", "outsider_top1", "outsider_top5"),
        *("colour", "object_and_colour", "kept_identical", "three_or_more"),
    }
)
VARIETY_TITLE = "How many pictures of one thing the seeds show"


@dataclass(frozen=True, slots=True)
class PainterReport:
    """One painter's row: its own seconds, its scores by group of cases, and what it is mistaken for."""

    name: str
    seconds: float
    scores: Mapping[str, Scores]
    confusions: tuple[Confusion, ...] = ()
    per_case: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """A whole evaluation.

    Attributes:
        title: one line.
        protocol: `pocket` or `card`, with its version.
        settings: what was asked for; enough to run it again.
        measures: name and one-line meaning of every measure that appears.
        painters: the rows, the model first.
        judge: the judge's own scores, by the kind of picture it was shown.
        differences: first painter minus each other one, over the same cases, by measure.
        variety: how much each painter's pictures of one thing differ with the seed.
        groups: name and one-line meaning of the groups of cases.
        notes: what a reader must know to read the numbers right.
        made_with: versions and machine.
        sheets: picture files beside the report, with a caption each.
    """

    title: str
    protocol: str
    settings: Mapping[str, Any]
    measures: Mapping[str, str]
    painters: tuple[PainterReport, ...]
    judge: Mapping[str, Mapping[str, Estimate]] = field(default_factory=dict)
    differences: Mapping[str, Mapping[str, Estimate]] = field(default_factory=dict)
    variety: Mapping[str, Mapping[str, Estimate]] = field(default_factory=dict)
    groups: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    made_with: Mapping[str, str] = field(default_factory=dict)
    sheets: tuple[tuple[str, str], ...] = ()


def environment() -> dict[str, str]:
    """Return the versions that numbers depend on."""
    found = {"retouch": __version__, "python": platform.python_version(), "machine": platform.machine()}
    for name in ("torch", "diffusers", "transformers", "numpy", "scikit-learn"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def to_json(report: Report) -> str:
    """Return the report as JSON; a number that was not measured is null."""
    return json.dumps(plain(asdict(report)), indent=1, allow_nan=False) + "\n"


def format_estimate(measure: str, estimate: Estimate) -> str:
    """Return a value with its interval as people read it: per cent, or three digits."""
    if estimate.count == 0 or math.isnan(estimate.value):
        return "–"
    shown = estimate.scaled(100) if measure in PERCENT else estimate
    digits, unit = (0, "%") if measure in PERCENT else (_digits(shown.value), "")
    value = f"{shown.value:.{digits}f}{unit}"
    if math.isnan(shown.low):
        return value
    return f"{value} [{shown.low:.{digits}f}, {shown.high:.{digits}f}]"


def to_markdown(report: Report) -> str:
    """Return the report as Markdown: a table for each group of cases, then the judge, notes and sheets."""
    parts = [f"# {report.title}", ""]
    for group in report.painters[0].scores if report.painters else ():
        meaning = report.groups.get(group, "")
        parts += [f"## {group}" + (f": {meaning}" if meaning else ""), "", *_painter_table(report, group), ""]
    parts += _section(VARIETY_TITLE, report.variety)
    parts += _section("What the judge itself is worth", report.judge)
    first = report.painters[0].name if report.painters else ""
    parts += _section(f"{first} minus the others, over the same cases", report.differences)
    parts += _confusion_lines(report)
    parts += ["## Measures", "", *(f"- `{name}`: {text}" for name, text in report.measures.items()), ""]
    parts += ["## Notes", "", *(f"- {note}" for note in report.notes), ""] if report.notes else []
    for name, caption in report.sheets:
        parts += [f"![{caption}]({name})", ""]
    settings = {**report.settings, **report.made_with}
    parts += ["## Settings", "", *(f"- {name}: {value}" for name, value in settings.items()), ""]
    return "\n".join(parts)


def headline(report: Report, groups: Sequence[str]) -> str:
    """Return what a terminal shows of a report: some groups' tables with every painter, variety and the judge."""
    shown = [group for group in groups if report.painters and group in report.painters[0].scores]
    parts = [line for group in shown for line in (f"## {group}", "", *_painter_table(report, group), "")]
    parts += _section(VARIETY_TITLE, report.variety)
    return "\n".join([*parts, *_section("What the judge itself is worth", report.judge)])


def shown_measures(report: Report, group: str) -> list[str]:
    """Return the measures of a group that anybody has a value for."""
    return [
        name
        for name in report.measures
        if any(p.scores[group][name].count for p in report.painters if name in p.scores.get(group, {}))
    ]


def _painter_table(report: Report, group: str) -> list[str]:
    names = shown_measures(report, group)
    count = max((e.count for p in report.painters for e in p.scores.get(group, {}).values()), default=0)
    lines = [f"| {count} cases | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    for painter in report.painters:
        scores = painter.scores.get(group, {})
        cells = (format_estimate(name, scores[name]) if name in scores else "–" for name in names)
        lines.append(f"| {painter.name} | " + " | ".join(cells) + " |")
    return lines


def _section(title: str, rows: Mapping[str, Mapping[str, Estimate]]) -> list[str]:
    if not rows:
        return []
    names = list(dict.fromkeys(name for scores in rows.values() for name in scores))
    lines = [f"## {title}", "", "| | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    for row, scores in rows.items():
        cells = (format_estimate(name, scores[name]) if name in scores else "–" for name in names)
        lines.append(f"| {row} | " + " | ".join(cells) + " |")
    return [*lines, ""]


def _confusion_lines(report: Report) -> list[str]:
    if not report.painters or not report.painters[0].confusions:
        return []
    lines = [
        f"## What {report.painters[0].name} is mistaken for",
        "",
        "| asked | seen | times | |",
        "|---|---|---|---|",
    ]
    for row in report.painters[0].confusions:
        lines.append(f"| {row.asked} | {row.seen} | {row.count} | {'related name' if row.is_related else ''} |")
    return [*lines, ""]


def _digits(value: float) -> int:
    size = abs(value)
    return 3 if size < 1 else 2 if size < 10 else 1


def plain(value: Any) -> Any:
    """Return a value as strict JSON can hold it: numbers that are not finite become None."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value
