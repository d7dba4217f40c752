"""`retouch data`: build, look at, export and filter training data."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

import typer

app = typer.Typer(
    help="Build, look at, export and filter training data.",
    no_args_is_help=True,
    rich_markup_mode=None,
    add_completion=False,
    pretty_exceptions_enable=False,
)

DEFAULT_PACKAGES = Path("~/.cache/retouch/packages")


class Recipe(StrEnum):
    """The data sets that can be built."""

    POCKET = "pocket"
    OUTSIDERS = "outsiders"


class Licences(StrEnum):
    """Which licences may enter."""

    PERMISSIVE = "permissive"
    ALL = "all"


class Styles(StrEnum):
    """Which styles of sprites may enter."""

    RENDERS = "3d"
    ALL = "all"


class Split(StrEnum):
    """Training scenes, or those held out."""

    TRAIN = "train"
    VALIDATION = "validation"


Folder = Annotated[Path, typer.Argument(help="A folder made by `retouch data build`.")]
Workers = Annotated[int, typer.Option(min=1, help="Processes that read.")]
Seed = Annotated[int, typer.Option(min=0, help="Seed of every random choice.")]


@app.command("build")
def build(
    recipe: Annotated[Recipe, typer.Argument(help="What to build.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the packs.")] = Path("pocket-data"),
    packages: Annotated[
        Path, typer.Option(help="Folder of package archives; missing ones are fetched into it.")
    ] = DEFAULT_PACKAGES,
    licences: Annotated[Licences, typer.Option(help="Which licences may enter.")] = Licences.PERMISSIVE,
    styles: Annotated[
        Styles, typer.Option(help="3D renders alone, or drawings and photographs too.")
    ] = Styles.ALL,
    views: Annotated[int, typer.Option(min=1, max=500, help="Views of each panorama.")] = 12,
    seed: Seed = 0,
) -> None:
    """Fetch packages with free licences and pack sprites and backgrounds from them.

    `pocket` is what the embedded model learns from; `outsiders` are drawings for an independent judge.
    """
    from retouch.data.backgrounds import Amounts
    from retouch.data.build import BuildOptions, build_pocket
    from retouch.data.outsiders import build_outsiders

    if recipe is Recipe.OUTSIDERS:
        typer.echo(f"{recipe.value}: {build_outsiders(packages.expanduser(), out)}", err=True)
        return
    amounts = Amounts(per_panorama=views)
    options = BuildOptions(licences=licences.value, styles=styles.value, amounts=amounts, seed=seed)
    folder = build_pocket(packages.expanduser(), out, options)
    typer.echo(f"{recipe.value}: {folder}", err=True)


@app.command("show")
def show(
    folder: Folder,
    out: Annotated[Path, typer.Option("--out", "-o", help="The contact sheet to write.")] = Path("scenes.png"),
    count: Annotated[int, typer.Option(min=1, max=1000, help="How many scenes.")] = 60,
    split: Annotated[Split, typer.Option(help="Training scenes, or those held out.")] = Split.TRAIN,
    size: Annotated[int, typer.Option(min=32, max=512, help="Side of a scene in pixels.")] = 128,
    seed: Seed = 0,
) -> None:
    """Draw a contact sheet of composed scenes with masks and captions."""
    from retouch.data.compose import SceneComposer
    from retouch.data.sheet import sample_sheet

    composer = SceneComposer.open(folder, size=size, split=_split(split))
    sample_sheet(composer, count, seed=seed).save(out)
    typer.echo(str(out), err=True)


@app.command("export")
def export(
    folder: Folder,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the shards.")],
    count: Annotated[int, typer.Option(min=1, help="How many scenes.")] = 1000,
    per_shard: Annotated[int, typer.Option(min=1, help="Scenes in a shard.")] = 1000,
    split: Annotated[Split, typer.Option(help="Training scenes, or those held out.")] = Split.TRAIN,
    size: Annotated[int, typer.Option(min=32, max=512, help="Side of a scene in pixels.")] = 128,
    seed: Seed = 0,
) -> None:
    """Write composed scenes as webdataset shards."""
    from retouch.data.compose import SceneComposer
    from retouch.data.export import ExportOptions, export_shards

    composer = SceneComposer.open(folder, size=size, split=_split(split))
    paths = export_shards(composer, out, ExportOptions(count=count, per_shard=per_shard, seed=seed))
    typer.echo(f"{count} scenes in {len(paths)} shards: {out}", err=True)


@app.command("check")
def check(
    shards: Annotated[str, typer.Argument(help="A folder, a .tar, or a pattern with {00000..00009}.")],
    workers: Workers = 1,
) -> None:
    """Read shards once, count good and broken samples, and name the shards that cannot be read to their end."""
    from collections import Counter

    from retouch.data.check import check_shards
    from retouch.data.shards import expand

    read, broken = 0, Counter[str]()
    for shard, tally in check_shards(expand(shards), workers=workers):
        read += tally.read
        broken += tally.broken
        for reason in tally.broken:
            if reason.startswith("shard: "):
                typer.echo(f"{shard}: {reason.removeprefix('shard: ')}")
    typer.echo(f"read {read}")
    for reason, times in broken.most_common():
        typer.echo(f"broken {times}: {reason}")
    if not read:
        raise typer.Exit(1)


@app.command("index")
def index(
    shards: Annotated[str, typer.Argument(help="A folder, a .tar, or a pattern with {00000..00009}.")],
    workers: Workers = 1,
) -> None:
    """Find where the samples of shards lie, so that training need not; what is indexed already stays so."""
    from retouch.data.shard_index import open_index

    found = open_index(shards, workers=workers)
    for shard, reason, times in found.broken():
        typer.echo(f"{shard}: {reason} ({times})")
    typer.echo(f"{int(found.counts.sum())} samples in {len(found.files)} shards")


@app.command("filter")
def filter_rows(
    source: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="LAION metadata, parquet.")],
    target: Annotated[Path, typer.Argument(help="The parquet file to write.")],
    aesthetic: Annotated[float, typer.Option(help="Keep predicted scores above this.")] = 5.0,
    min_side: Annotated[int, typer.Option(min=0, help="Keep original sides of at least this.")] = 512,
    watermark: Annotated[float, typer.Option(help="Keep watermark probabilities below this.")] = 0.5,
    unsafe: Annotated[float | None, typer.Option(help="Keep unsafe probabilities below this.")] = None,
) -> None:
    """Select rows as LAION-Aesthetics v2 5+ does for Stable Diffusion."""
    from retouch.data.filters import Selection, filter_parquet

    outcome = filter_parquet(source, target, Selection(aesthetic, min_side, watermark, unsafe))
    typer.echo(f"kept {outcome.kept}")
    for rule, times in outcome.dropped.most_common():
        typer.echo(f"dropped {times}: {rule}")


def _split(split: Split) -> Literal["train", "validation"]:
    return "train" if split is Split.TRAIN else "validation"
