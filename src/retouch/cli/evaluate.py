"""`retouch evaluate`: measure a checkpoint, and compare two."""

import json
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from retouch.cli import options
from retouch.cli.failures import printable
from retouch.models.options import LoadOptions

if TYPE_CHECKING:
    from retouch.evaluate.lineup import Lineup

app = typer.Typer(
    rich_markup_mode=None,
    add_completion=False,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    help="Measure a checkpoint, and compare two.",
)


class MaskKind(StrEnum):
    """LaMa's kinds of masks."""

    THIN = "thin"
    MEDIUM = "medium"
    THICK = "thick"


Out = Annotated[Path, typer.Option("--out", "-o", help="Folder for report.json, report.md, report.html, sheets.")]
Data = Annotated[Path, typer.Option("--data", help="A folder made by `retouch data build`.")]
Pictures = Annotated[Path, typer.Argument(help="A folder of photographs without text or people in the way.")]
Stock = Annotated[bool, typer.Option("--stock", help="Also run stock diffusers on the same checkpoint.")]
Baselines = Annotated[bool, typer.Option("--baselines/--no-baselines", help="Grey fill and OpenCV, too.")]
Seed = Annotated[int, typer.Option("--seed", "-s", min=0, help="Of cases, masks and noise.")]
Rows = Annotated[int, typer.Option("--rows-per-call", min=0, help="Rows of every model call.")]


@app.command()
def pocket(
    data: Data,
    out: Out,
    model: options.Model = None,
    outsiders: Annotated[
        Path | None, typer.Option(help="A folder made by `retouch data build outsiders`: for a second judge.")
    ] = None,
    cases: Annotated[
        int, typer.Option(min=5, help="Held-out cases; removals get half each, other groups a fifth.")
    ] = 200,
    variety: Annotated[int, typer.Option(min=0, help="Objects to paint with eight seeds each.")] = 40,
    size: Annotated[int, typer.Option(min=32, help="Side of the pictures, in pixels.")] = 128,
    steps: options.Steps = None,
    guidance_scale: options.Guidance = None,
    seed: Seed = 0,
    stock: Stock = False,
    baselines: Baselines = True,
    device: options.Device = "auto",
    dtype: options.Dtype = "auto",
    threads: options.Threads = None,
    rows_per_call: Rows = 16,
) -> None:
    """Prompts over composed scenes, judged offline, beside lookups; removals; variety over seeds."""
    from contextlib import ExitStack
    from dataclasses import replace

    from retouch.evaluate.cases import Quota
    from retouch.evaluate.features import LiteFeatures
    from retouch.evaluate.lineup import assemble, known_words
    from retouch.evaluate.pocket_protocol import PocketRun, run_pocket
    from retouch.evaluate.report import headline

    place = LoadOptions(device=device, dtype=dtype, threads=threads)
    lineup = _lineup(model, place, rows_per_call, (steps, guidance_scale), stock=stock, baselines=baselines)
    run = PocketRun(
        data,
        Quota.of(cases),
        size=size,
        seed=seed,
        outsiders=outsiders,
        words=known_words(lineup),
        variety=variety,
    )
    with ExitStack() as stack:
        report = run_pocket(run, assemble(replace(lineup, data=data), stack), LiteFeatures(), out=out, say=_say)
    _say(headline(report, ("objects", "held-out", "background", "photograph")))
    typer.echo(str(out / "report.html"))


@app.command()
def card(
    pictures: Pictures,
    out: Out,
    model: options.Model = None,
    inception: Annotated[
        str | None, typer.Option(help="TorchScript Inception for FID: a path, or hf://owner/name/file.")
    ] = None,
    lpips: Annotated[
        str | None, typer.Option(help="LPIPS, TorchScript or state dict: a path, or hf://owner/name/file.")
    ] = None,
    masks: Annotated[
        list[MaskKind] | None, typer.Option("--masks", help="Kinds of masks; all by default.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many pictures.")] = None,
    size: Annotated[int, typer.Option(min=32, help="Side of the crops, in pixels.")] = 512,
    steps: options.Steps = None,
    guidance_scale: options.Guidance = None,
    seed: Seed = 0,
    stock: Stock = False,
    baselines: Baselines = True,
    device: options.Device = "auto",
    dtype: options.Dtype = "auto",
    threads: options.Threads = None,
    rows_per_call: Rows = 16,
) -> None:
    """Empty scenes over a folder of photographs under LaMa's masks: FID, LPIPS, SSIM, PSNR by masked area."""
    from contextlib import ExitStack
    from dataclasses import replace

    from retouch.evaluate.card_protocol import CardNetworks, CardRun, run_card
    from retouch.evaluate.lineup import assemble
    from retouch.evaluate.lpips import load_distance
    from retouch.evaluate.weights import ScriptedFeatures, find_file

    networks = CardNetworks(
        inception=ScriptedFeatures(find_file(inception)) if inception else None,
        lpips=load_distance(find_file(lpips)) if lpips else None,
    )
    place = LoadOptions(device=device, dtype=dtype, threads=threads)
    lineup = _lineup(model, place, rows_per_call, (steps, guidance_scale), stock=stock, baselines=baselines)
    run = CardRun(folder=pictures, limit=limit, side=size, seed=seed)
    if masks:
        run = replace(run, kinds=tuple(kind.value for kind in masks))
    with ExitStack() as stack:
        run_card(run, assemble(replace(lineup, with_truth=False), stack), networks, out=out, say=_say)
    typer.echo(str(out / "report.html"))


@app.command()
def sheet(
    out: Annotated[Path, typer.Option("--out", "-o", help="The picture to write.")] = Path("sheet.jpg"),
    model: options.Model = None,
    size: Annotated[int, typer.Option(min=32, help="Side of the pictures, in pixels.")] = 256,
    cell: Annotated[int, typer.Option(min=16, help="Side that they are drawn with, in pixels.")] = 112,
    steps: options.Steps = None,
    guidance_scale: options.Guidance = None,
    seed: Seed = 0,
    device: options.Device = "auto",
    dtype: options.Dtype = "auto",
    threads: options.Threads = None,
    rows_per_call: Rows = 16,
) -> None:
    """Draw 48 fills over photographs, in holes of eight shapes; the seed chooses, nobody else."""
    from retouch.engine.settings import EngineSettings
    from retouch.evaluate.painters import EnginePainter, Sampling
    from retouch.evaluate.showcase import showcase, showcase_cases
    from retouch.inpainter import Inpainter

    place = LoadOptions(device=device, dtype=dtype, threads=threads)
    settings = EngineSettings(rows_per_call=rows_per_call)
    with Inpainter.load(model, options=place, settings=settings) as inpainter:
        cases = showcase_cases(size=size, seed=seed, words=inpainter.bundle.vocabulary)
        drawn = showcase(EnginePainter(inpainter, Sampling(steps, guidance_scale)), cases, side_px=cell)
    drawn.save(out, quality=82)
    typer.echo(str(out))


@app.command()
def compare(
    first: Annotated[Path, typer.Argument(help="report.json of one run of `retouch evaluate pocket`.")],
    second: Annotated[Path, typer.Argument(help="report.json of another, over the same cases.")],
    as_json: options.Json = False,
) -> None:
    """Tell two reports apart case by case: first minus second, with the interval of the difference."""
    from retouch.evaluate.compare import compare_reports
    from retouch.evaluate.report import format_estimate

    comparison = compare_reports(first, second)
    if as_json:
        typer.echo(json.dumps(asdict(comparison)))
        return
    for name, estimate in comparison.differences.items():
        told = "" if estimate.low <= 0 <= estimate.high else "  (more than chance)"
        line = f"{name}: {format_estimate(name, estimate)} over {estimate.count} cases{told}"
        typer.echo(printable(line))


def _lineup(
    model: str | None,
    place: LoadOptions,
    rows_per_call: int,
    sampling: tuple[int | None, float | None],
    *,
    stock: bool,
    baselines: bool,
) -> "Lineup":
    from retouch.evaluate.lineup import Lineup
    from retouch.evaluate.painters import Sampling

    return Lineup(
        model=model,
        options=place,
        rows_per_call=rows_per_call,
        sampling=Sampling(*sampling),
        with_stock=stock,
        with_baselines=baselines,
    )


def _say(text: str) -> None:
    typer.echo(printable(text), err=True)
