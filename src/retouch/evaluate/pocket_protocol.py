"""The offline protocol: prompts over composed scenes, judged by a network that never saw our data."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retouch.evaluate import bootstrap
from retouch.evaluate.bootstrap import Estimate
from retouch.evaluate.cases import GROUPS, Case, Quota, rows_by_group, standard_set
from retouch.evaluate.exemplars import data_fingerprint, soften, trained_probe
from retouch.evaluate.features import FeatureExtractor
from retouch.evaluate.judge import Judge
from retouch.evaluate.judge_check import confusions, outsider_worth, wrong_prompts
from retouch.evaluate.painters import Painter
from retouch.evaluate.paste import PastePainter
from retouch.evaluate.report import PainterReport, Report, environment
from retouch.evaluate.report_files import write
from retouch.evaluate.scoring import MEASURES, Painted, outsider_shares, paint_and_judge, score
from retouch.evaluate.sheet import contact_sheet
from retouch.evaluate.variety import MEASURES as VARIETY
from retouch.evaluate.variety import one_for_each_object, variety

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]
Say = Callable[[str], None]

VERSION = 4
_SHOWN_TO_OUTSIDER = 200
NOTES = (
    "Shares carry Wilson's 95% interval, other means a percentile bootstrap over cases.",
    "The pasted sprite is the lookup: a training picture of what is asked over a plain fill. A model that scores "
    "no higher works, but its score does not say that it imagines; the probe learnt from the same sprites.",
    "The grey fill does nothing and shows what a mask's outline alone gives away; boxes give away nothing.",
    "The truth's row is the judge's own ceiling. The VAE round trip's is the checkpoint's: what it paints comes "
    "through that decoder, in the same crop and with the same correction of the seam.",
    "The Fréchet distance is taken in EfficientNet-lite0 features and is biased in small sets: "
    "compare it within this report alone, never with a published FID.",
    "Colours are asked for over neutral places only; warm light turns yellow into orange for any measure.",
)


@dataclass(frozen=True, slots=True)
class PocketRun:
    """What to run.

    Attributes:
        data: a folder made by `retouch data build pocket`.
        quota: how many cases of each group.
        size: the pictures' side in pixels.
        seed: of cases and noise.
        cache_dir: where probes are kept; None is the user's own cache folder.
        outsiders: a folder made by `retouch data build outsiders`, for a judge that knows no sprite of the data.
        words: that a small model knows: nothing else is asked for; None asks for all of the data's objects.
        variety: objects that are painted with several seeds.
    """

    data: Path
    quota: Quota
    size: int = 128
    seed: int = 0
    cache_dir: Path | None = None
    outsiders: Path | None = None
    words: frozenset[str] | None = None
    variety: int = 0


def run_pocket(
    run: PocketRun,
    painters: Sequence[Painter],
    extractor: FeatureExtractor,
    *,
    out: Path,
    say: Say | None = None,
) -> Report:
    """Let every painter fill the standard set, judge them, and write the report with its contact sheets.

    Args:
        run: cases and seeds.
        painters: the model under test first, then those it is compared with; at least one.
        extractor: the judge's eyes.
        out: folder for `report.json`, `report.md`, `report.html` and sheets.
        say: told what is under way.
    """
    tell: Say = say or (lambda _: None)
    tell("training or loading the probe")
    judge = _judge(run, extractor)
    cases = standard_set(run.data, run.quota, size=run.size, seed=run.seed, words=run.words)
    truths = judge.features([case.truth for case in cases], cases)
    done: list[Painted] = []
    for painter in painters:
        tell(f"{painter.name}: {len(cases)} pictures")
        done.append(paint_and_judge(painter, cases, judge))
    worth = judge_worth(judge, cases, truths, done[0], seed=run.seed)
    if run.outsiders is not None:
        worth["drawings by a hand that neither judge knows"] = outsider_worth(
            run.outsiders, run.data, judge, size=run.size, count=_SHOWN_TO_OUTSIDER, seed=run.seed
        )
    report = Report(
        title=f"Pocket protocol: {done[0].painter}",
        protocol=f"pocket {VERSION}",
        settings=_settings(run, extractor, judge),
        measures=MEASURES | (VARIETY if run.variety else {}),
        painters=tuple(_painter_report(painted, truths, run.seed) for painted in done),
        judge=worth,
        variety=_variety(run, painters[0], cases, judge, tell),
        differences=_differences(done, run.seed),
        groups={str(name): meaning for name, meaning in GROUPS.items()},
        notes=NOTES,
        made_with=environment(),
        sheets=_write_sheets(done, out),
    )
    write(report, out)
    return report


def _judge(run: PocketRun, extractor: FeatureExtractor) -> Judge:
    probe = trained_probe(run.data, extractor, cache_dir=run.cache_dir)
    if run.outsiders is None:
        return Judge(extractor, probe)
    outsider = trained_probe(run.data, extractor, cache_dir=run.cache_dir, sprites_dir=run.outsiders)
    return Judge(extractor, probe, outsider)


def _variety(
    run: PocketRun, model: Painter, cases: Sequence[Case], judge: Judge, tell: Say
) -> dict[str, dict[str, Estimate]]:
    """Compare the model with three lookups: of any sprite, of one in any colour, and of one alone."""
    chosen = one_for_each_object(cases, run.variety)
    if not chosen:
        return {}
    tell(f"variety: {len(chosen)} objects")
    lookups = [PastePainter(run.data, choice="picture"), PastePainter(run.data, choice="colour")]
    return variety([model, *lookups], PastePainter(run.data), chosen, judge)


def judge_worth(
    judge: Judge, cases: Sequence[Case], truths: F32, painted: Painted, *, seed: int = 0
) -> dict[str, dict[str, Estimate]]:
    """Score the judge on pictures whose answer is known, and on prompts that are wrong.

    Returns:
        By kind of picture: `object_top1`, `object_top5` and `colour`.
    """
    real = Painted("truth", cases, [c.truth for c in cases], (), truths)
    rng = np.random.default_rng(seed)
    softened = [soften(case.truth, rng) for case in cases]
    soft = Painted("softened", cases, softened, (), judge.features(softened, cases))
    return {
        "real held-out composites": _hits(judge, real),
        "the same, softened": _hits(judge, soft),
        "real composites, wrong prompts": wrong_prompts(real, judge, seed=seed),
        f"fills of {painted.painter}, wrong prompts": wrong_prompts(painted, judge, seed=seed),
    }


def _hits(judge: Judge, shown: Painted) -> dict[str, Estimate]:
    rows = [k for k, case in enumerate(shown.cases) if case.concept is not None and case.group != "seen"]
    opinions = judge.opinions(
        shown.features[rows], [shown.pictures[k] for k in rows], [shown.cases[k] for k in rows]
    )
    colours = [opinion.is_asked_colour for opinion in opinions if opinion.is_asked_colour is not None]
    return {
        "object_top1": bootstrap.share([opinion.is_asked_object for opinion in opinions]),
        "object_top5": bootstrap.share([opinion.is_near for opinion in opinions]),
        "colour": bootstrap.share(colours),
        **outsider_shares(opinions),
    }


def _painter_report(painted: Painted, truths: F32, seed: int) -> PainterReport:
    groups = rows_by_group(painted.cases)
    return PainterReport(
        name=painted.painter,
        seconds=round(painted.seconds, 2),
        scores={name: score(painted, truths, rows, seed=seed) for name, rows in groups.items()},
        confusions=tuple(confusions(painted.cases, painted.opinions)),
        per_case=tuple(_case_row(painted, k) for k in range(len(painted.cases))),
    )


def _case_row(painted: Painted, k: int) -> dict[str, Any]:
    case, opinion = painted.cases[k], painted.opinions[k]
    return {
        "number": case.number,
        "group": case.group,
        "prompt": case.prompt,
        "concept": case.concept,
        "colour": case.colour,
        "place": case.place,
        "seed": case.seed,
        "sees": list(opinion.objects),
        "rank": opinion.rank,
        "outsider_rank": opinion.outsider_rank,
        "sees_colour": None if opinion.colour is None else opinion.colour.word,
    }


def _differences(done: Sequence[Painted], seed: int) -> dict[str, dict[str, Estimate]]:
    """First painter minus each other one, in hits by case; plain shares of -1..1 become per cent in print."""
    first = done[0]
    rows = [k for k, case in enumerate(first.cases) if case.concept is not None]
    coloured = [k for k in rows if first.cases[k].colour is not None]

    def hits(painted: Painted, name: str) -> list[float]:
        if name == "colour":
            return [float(bool(painted.opinions[k].is_asked_colour)) for k in coloured]
        return [float(painted.opinions[k].is_asked_object) for k in rows]

    return {
        other.painter: {
            name: bootstrap.paired_difference(hits(first, name), hits(other, name), seed=seed)
            for name in ("object_top1", "colour")
            if rows and (name != "colour" or coloured)
        }
        for other in done[1:]
    }


def _write_sheets(done: Sequence[Painted], out: Path) -> tuple[tuple[str, str], ...]:
    folder = out / "sheets"
    folder.mkdir(parents=True, exist_ok=True)
    sheets = []
    for k, painted in enumerate(done):
        for group, rows in rows_by_group(painted.cases).items():
            if group not in GROUPS or (k > 0 and group != "held-out"):
                continue
            name = f"{k}-{group.replace(' ', '-')}.png"
            contact_sheet(painted, rows=rows, limit=24).save(folder / name)
            sheets.append((f"sheets/{name}", f"{painted.painter}, {group}: hole, truth, fill"))
    return tuple(sheets)


def _settings(run: PocketRun, extractor: FeatureExtractor, judge: Judge) -> dict[str, Any]:
    return {
        "data": data_fingerprint(run.data),
        "cases": asdict(run.quota),
        "size": run.size,
        "seed": run.seed,
        "features": extractor.name,
        "vocabulary": len(judge.probe.classes),
        "outsiders": None if run.outsiders is None else data_fingerprint(run.data, run.outsiders),
        "variety": run.variety,
    }
