"""The model card's protocol: empty scenes over a folder of photographs, under LaMa's masks.

One fixed prompt and thin, medium and thick masks on square crops (Suvorov et al. 2022; Rombach et al. 2022,
table 7): FID and LPIPS with weights that the user brings along, SSIM and PSNR without any.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from retouch.data.masks import IrregularKind
from retouch.evaluate import bootstrap
from retouch.evaluate.bootstrap import Estimate
from retouch.evaluate.cases import Case
from retouch.evaluate.crops import KINDS, MAX_MASK_AREA, PROMPT, card_cases, pictures_in
from retouch.evaluate.features import FeatureExtractor
from retouch.evaluate.frechet import frechet_distance
from retouch.evaluate.lpips import PerceptualDistance
from retouch.evaluate.metrics import kept_identical_share, psnr, seam_ratio, ssim
from retouch.evaluate.painters import Painter
from retouch.evaluate.pocket_protocol import Say
from retouch.evaluate.report import PainterReport, Report, environment
from retouch.evaluate.report_files import write
from retouch.evaluate.scoring import Scores
from retouch.evaluate.sheet import fill_sheet

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]
Item = TypeVar("Item")

VERSION = 3
AREA_BINS = ((0.0, 0.1), (0.1, 0.2), (0.2, 0.3), (0.3, 0.4), (0.4, MAX_MASK_AREA))
HARDEST = AREA_BINS[-1]
"""The column of its own in the published tables, FID included."""
MEASURES: dict[str, str] = {
    "fid": "Fréchet distance of the given network's features, fills to originals (less is better)",
    "lpips": "learned perceptual distance of the whole picture (less is better)",
    "ssim": "SSIM of the whole picture",
    "psnr_db": "PSNR in the hole",
    "seam_ratio": "steepness across the mask's border over that beside it (1 is invisible)",
    "kept_identical": "share of pictures whose kept pixels are all bit for bit the input's",
}
NOTES = (
    "Published numbers rest on 30,000 Places pictures; FID of fewer is biased upwards and compares only with "
    "other runs on the same pictures.",
    "Fills are composited: kept pixels are the original's, as in the published evaluation.",
)


@dataclass(frozen=True, slots=True)
class CardRun:
    """What to run: a folder of pictures, how many of them, the crops' side, kinds of masks, the seed."""

    folder: Path
    limit: int | None = None
    side: int = 512
    kinds: tuple[IrregularKind, ...] = KINDS
    seed: int = 0
    chunk: int = 16
    shown: int = 8


@dataclass(frozen=True, slots=True)
class CardNetworks:
    """The networks that the user brought along; without one its measure stays empty."""

    inception: FeatureExtractor | None = None
    lpips: PerceptualDistance | None = None


@dataclass(slots=True)
class _Tally:
    """What is kept of one kind of mask while pictures pass by; grows on the calling thread alone."""

    areas: list[float] = field(default_factory=list)
    values: dict[str, list[float]] = field(
        default_factory=lambda: {name: [] for name in MEASURES if name != "fid"}
    )
    fills: list[F32] = field(default_factory=list)
    truths: list[F32] = field(default_factory=list)
    shown: list[tuple[Case, U8]] = field(default_factory=list)

    def add(self, cases: Sequence[Case], pictures: Sequence[U8], networks: CardNetworks) -> None:
        for case, picture in zip(cases, pictures, strict=True):
            self.areas.append(float(case.mask.mean()))
            for name, value in _measure(case, picture, networks.lpips).items():
                self.values[name].append(value)
        if networks.inception is not None:
            self.fills.append(networks.inception.extract(pictures))
            self.truths.append(networks.inception.extract([case.truth for case in cases]))

    def scores(self, seed: int, bounds: tuple[float, float] | None = None) -> Scores:
        areas = np.array(self.areas)
        rows = np.ones(len(areas), bool) if bounds is None else (areas > bounds[0]) & (areas <= bounds[1])
        scores = {
            name: bootstrap.mean(np.array(values)[rows], seed=seed)
            for name, values in self.values.items()
            if name != "kept_identical"
        }
        kept = np.array(self.values["kept_identical"])[rows]
        scores["kept_identical"] = bootstrap.share([value == 1.0 for value in kept])
        return {"fid": self._fid(rows) if bounds in (None, HARDEST) else bootstrap.NOTHING, **scores}

    def has(self, low: float, high: float) -> bool:
        return any(low < area <= high for area in self.areas)

    def _fid(self, rows: NDArray[np.bool_]) -> Estimate:
        if not self.fills or rows.sum() < 2:
            return bootstrap.NOTHING
        value = frechet_distance(np.concatenate(self.fills)[rows], np.concatenate(self.truths)[rows])
        return Estimate(value, float("nan"), float("nan"), int(rows.sum()))


def run_card(
    run: CardRun, painters: Sequence[Painter], networks: CardNetworks, *, out: Path, say: Say | None = None
) -> Report:
    """Let every painter fill crops of a folder, measure them, and write the report.

    Args:
        run: pictures, masks and seeds.
        painters: the model under test first; at least one.
        networks: for FID and LPIPS.
        out: folder for `report.json`, `report.md`, `report.html` and sheets.
        say: told what is under way.
    Raises:
        BadInput: the folder holds no pictures.
    """
    paths = pictures_in(run.folder, run.limit)
    tell: Say = say or (lambda _: None)
    rows, sheets = [], []
    for painter in painters:
        scores: dict[str, Scores] = {}
        for kind in run.kinds:
            tell(f"{painter.name}: {len(paths)} pictures, {kind} masks")
            tally = _tally(run, paths, kind, painter, networks)
            scores[kind] = tally.scores(run.seed)
            for low, high in AREA_BINS:
                if tally.has(low, high):
                    scores[f"{kind}, {low:.0%} to {high:.0%} repainted"] = tally.scores(run.seed, (low, high))
            sheets.append(_write_sheet(tally, f"{painter.name} {kind}", out))
        rows.append(PainterReport(painter.name, 0.0, scores))
    report = Report(
        title=f"Card protocol: {painters[0].name}",
        protocol=f"card {VERSION}",
        settings={"pictures": len(paths), "side": run.side, "seed": run.seed, "prompt": PROMPT},
        measures=MEASURES,
        painters=tuple(rows),
        notes=NOTES,
        made_with=environment(),
        sheets=tuple(sheets),
    )
    write(report, out)
    return report


def _tally(
    run: CardRun, paths: list[Path], kind: IrregularKind, painter: Painter, networks: CardNetworks
) -> _Tally:
    tally = _Tally()
    for cases in _chunks(card_cases(paths, kind, side=run.side, seed=run.seed), run.chunk):
        pictures = painter.paint(cases)
        tally.add(cases, pictures, networks)
        free = max(0, run.shown - len(tally.shown))
        tally.shown += list(zip(cases, pictures, strict=True))[:free]
    return tally


def _measure(case: Case, picture: U8, lpips: PerceptualDistance | None) -> dict[str, float]:
    return {
        "lpips": float("nan") if lpips is None else lpips.distance(picture, case.truth),
        "ssim": ssim(picture, case.truth),
        "psnr_db": psnr(picture, case.truth, case.mask),
        "seam_ratio": seam_ratio(picture, case.mask),
        "kept_identical": kept_identical_share(picture, case.truth, case.mask),
    }


def _chunks(items: Iterator[Item], size: int) -> Iterator[list[Item]]:
    while chunk := list(islice(items, size)):
        yield chunk


def _write_sheet(tally: _Tally, name: str, out: Path) -> tuple[str, str]:
    path = Path("sheets") / (name.replace(" ", "-").lower() + ".png")
    (out / path.parent).mkdir(parents=True, exist_ok=True)
    fill_sheet(tally.shown).save(out / path)
    return path.as_posix(), f"{name}: hole, original, fill"
