"""`retouch batch`: tables and folders of pictures, masks and prompts."""

import json
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from retouch.cli import batch_options, options
from retouch.cli.batch_models import Models
from retouch.cli.deployments import as_batch
from retouch.cli.failures import printable
from retouch.cli.limits import limits
from retouch.errors import BadInput, RetouchError
from retouch.request import InpaintRequest

if TYPE_CHECKING:
    from retouch.batch.job import Batch, Outcome
    from retouch.batch.runner import Allowance

app = typer.Typer(
    rich_markup_mode=None,
    add_completion=False,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    help="Repaint the rows of tables and folders; go on where a run was interrupted.",
)


@app.command("run", cls=batch_options.RunCommand)
def run(
    *,
    source: batch_options.Input,
    output: batch_options.Folder,
    mask_image: batch_options.Masks = None,
    prompt: batch_options.Prompt = None,
    seed: batch_options.Seed = 0,
    negative_prompt: options.NegativePrompt = None,
    prompt_syntax: options.PromptSyntaxOption = None,
    clip_skip: options.ClipSkip = None,
    num_inference_steps: options.Steps = None,
    guidance_scale: options.Guidance = None,
    strength: options.Strength = None,
    num_images_per_prompt: options.Variants = None,
    scheduler: options.Scheduler = None,
    safety: options.Safety = None,
    screen_input: options.ScreenInput = False,
    content_safety: options.ContentSafety = False,
    reference: options.Reference = None,
    deadline_s: options.Deadline = None,
    mask_polarity: options.MaskPolarity = None,
    mask_threshold: options.MaskThreshold = None,
    grow_px: options.Grow = None,
    feather_px: options.Feather = None,
    fill_holes: options.FillHoles = None,
    region: options.Region = None,
    padding_px: options.Padding = None,
    latent_mask: options.LatentMaskOption = None,
    masked_content: options.MaskedContentOption = None,
    match_colors: options.MatchColors = None,
    seam: options.Seam = None,
    formats: batch_options.Formats = None,
    picture_format: batch_options.Pictures = batch_options.PictureFormat.PNG,
    quality: batch_options.Quality = None,
    no_metadata: options.NoMetadata = False,
    root: batch_options.Roots = None,
    allow_any_path: batch_options.AnyPath = False,
    extra_columns: batch_options.ExtraColumns = batch_options.Extra.ERROR,
    csv_safe: batch_options.CsvSafe = False,
    max_failures: batch_options.MaxFailures = None,
    attempts: batch_options.Attempts = None,
    retry_failed: batch_options.RetryFailed = False,
    verify: batch_options.Verify = False,
    ledger: batch_options.LedgerPath = None,
    dry_run: batch_options.DryRun = False,
    deployment: batch_options.Deployment = None,
    model: options.Model = None,
    device: options.Device = "auto",
    vae: options.Vae = None,
    dtype: options.Dtype = "auto",
    threads: options.Threads = None,
    lora: options.Lora = None,
    embedding: options.Embedding = None,
    allow_pickle: options.AllowPickle = False,
    offline: options.Offline = False,
    offload: options.Offload = False,
    config_from: options.ConfigFrom = None,
    prediction_type: options.PredictionTypeOption = None,
    rows_per_call: options.RowsPerCall = None,
    ray: batch_options.Ray = None,
    ray_actors: batch_options.RayActors = None,
    as_json: options.Json = False,
    debug: options.Debug = False,
) -> None:
    """Repaint every row of INPUT; the same command again goes on where it was interrupted."""
    from retouch.batch.job import run_batch
    from retouch.cli.batch_progress import watching

    given = locals()
    if deployment is not None:
        given = as_batch(deployment, given)
    batch = _batch(given)
    models = Models.of(given)
    if dry_run:
        _check(batch, models, as_json=as_json)
        return
    if batch.source.left_out:
        typer.echo(printable(f"left out, being no tables or shards: {', '.join(batch.source.left_out)}"), err=True)
    with watching() as watch:
        outcome = run_batch(batch, lambda: models.engaged(batch), on_progress=watch)
    _tell(outcome, as_json=as_json)
    if not outcome.is_all_done:
        raise typer.Exit(RetouchError.exit_code)


@app.command("export")
def export(
    folder: batch_options.Ran,
    formats: Annotated[
        list[batch_options.Format], typer.Option("--format", help="What to write; may be repeated.")
    ],
    csv_safe: batch_options.CsvSafe = False,
    ledger: batch_options.LedgerPath = None,
) -> None:
    """Write the results of a batch in other forms, also while it is under way."""
    from retouch.batch.job import write_results
    from retouch.batch.whereabouts import reading

    with reading(folder, ledger) as found:
        for path in write_results(folder, found, tuple(formats), is_csv_safe=csv_safe):
            typer.echo(printable(str(path)))


@app.command("status")
def status(
    folder: batch_options.Ran, ledger: batch_options.LedgerPath = None, as_json: options.Json = False
) -> None:
    """Tell how far a batch is, and what happened to it."""
    from retouch.batch.whereabouts import reading

    with reading(folder, ledger) as found:
        counts, events = found.counts(), found.events()
    if as_json:
        typer.echo(json.dumps({"rows": dict(counts), "events": events}))
        return
    typer.echo(_counted(counts))
    for at, what in events:
        typer.echo(printable(f"{at}  {what}"))


def _batch(given: Mapping[str, Any]) -> "Batch":
    """Make the batch of the options, and refuse what can be refused before any work."""
    from retouch.batch.job import Batch, check_output
    from retouch.batch.painter import Recipe
    from retouch.batch.pictures import Roots as PictureRoots
    from retouch.batch.places import Place
    from retouch.batch.projections import predictions_name
    from retouch.batch.readers.source import open_source
    from retouch.batch.rows import Columns
    from retouch.cli import inputs
    from retouch.imaging.sources import read_bytes
    from retouch.request import validate

    masks, mask = given["mask_image"], None
    if masks is not None and not Path(masks).is_dir():
        mask, masks = read_bytes(Path(masks), limits().image_bytes), None
    source = open_source(given["source"], masks=masks, limits=limits())
    check_output(given["output"], source)
    names = {one.name for one in fields(InpaintRequest)} - {"image", "mask_image", "seed"}
    chosen = {name: given[name] for name in names if given[name] is not None}
    validate(InpaintRequest(**({"prompt": ""} | chosen), image=b""), limits())
    inputs.check_scheduler(given["scheduler"])
    formats = tuple(str(one) for one in given["formats"] or ())
    if "azure" in formats and given["picture_format"] is not batch_options.PictureFormat.PNG:
        raise BadInput("--format azure holds PNG", hint="leave --picture-format out, or use --format azure-files")
    roots = [*(given["root"] or [source.folder]), *([] if masks is None else [masks])]
    return Batch(
        source=source,
        output=given["output"],
        recipe=Recipe(
            fields=chosen,
            mask_image=mask,
            seed=given["seed"],
            columns=Columns(keep_extra=given["extra_columns"] is batch_options.Extra.KEEP),
            format=given["picture_format"].value.upper(),
            quality=given["quality"],
            metadata=not given["no_metadata"],
        ),
        roots=PictureRoots(tuple(Place.of(one) for one in roots), any_path=given["allow_any_path"]),
        formats=formats,
        is_csv_safe=given["csv_safe"],
        predictions=predictions_name(given.get("output_file_name")),
        allowance=_allowance(given["max_failures"]),
        ledger=given["ledger"],
        retries_failed=given["retry_failed"],
        verifies=given["verify"],
        safeguards=tuple(name for name in ("screen_input", "content_safety") if given[name]),
    )


def _allowance(text: str | None) -> "Allowance":
    """Read `10` or `5%`."""
    from retouch.batch.runner import Allowance

    if text is None:
        return Allowance()
    try:
        share = float(text.removesuffix("%")) / 100 if text.endswith("%") else None
        number = None if text.endswith("%") else int(text)
    except ValueError as error:
        raise BadInput(f"--max-failures is {text!r}", hint="a number of rows, or a share such as 5%") from error
    if (share is not None and not 0 <= share <= 1) or (number is not None and number < 0):
        raise BadInput(f"--max-failures is {text!r}", hint="a number of rows, or a share such as 5%")
    return Allowance(number=number, share=share)


def _check(batch: "Batch", models: Models, *, as_json: bool) -> None:
    """Tell every row that cannot be run, and how long the others will take."""
    from dataclasses import asdict

    from retouch.batch.dry_run import check_batch

    def show(problem: Any) -> None:
        if not as_json:
            typer.echo(printable(f"{problem.where}: {problem.message}"))

    with models.model.inpainter() as inpainter:
        checked = check_batch(batch, inpainter, on_problem=show)
    if as_json:
        typer.echo(json.dumps(asdict(checked)))
    typer.echo(printable(checked.to_text()), err=True)
    if checked.problems:
        raise typer.Exit(RetouchError.exit_code)


def _tell(outcome: "Outcome", *, as_json: bool) -> None:
    if as_json:
        files = [str(path) for path in outcome.files]
        told = {
            "rows": dict(outcome.counts),
            "made": outcome.made,
            "recomputed": outcome.recomputed,
            "files": files,
        }
        typer.echo(json.dumps(told))
    lines = [_counted(outcome.counts)]
    if outcome.recomputed:
        lines.append(f"{outcome.recomputed} rows had lost their pictures and were computed again")
    lines += [str(path) for path in outcome.files]
    typer.echo(printable("\n".join(lines)), err=True)


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{counts.get(name, 0)} {name}" for name in ("done", "failed", "blocked"))
