"""`retouch models`: which checkpoints are at hand, what they are, and how to get one from the hub."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from retouch.cli import options
from retouch.cli.failures import printable

app = typer.Typer(
    rich_markup_mode=None,
    add_completion=False,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    help="List, show and download checkpoints.",
)

Folders = Annotated[list[Path] | None, typer.Argument(help="Folders of yours to look into, too.")]
Name = Annotated[str, typer.Argument(help="pocket, a folder, or a hub id.")]
HubId = Annotated[str, typer.Argument(help="org/name, or org/name@revision.")]


@app.command(name="list")
def list_(folders: Folders = None, as_json: options.Json = False) -> None:
    """List the embedded checkpoint, those in the hub's cache, and those in some folders."""
    from retouch.models.registry import list_models

    entries, problems = list_models(folders or ())
    if as_json:
        typer.echo(json.dumps({"models": [_plain(asdict(entry)) for entry in entries], "problems": problems}))
        return
    width = max((len(entry.name) for entry in entries), default=0)
    for entry in entries:
        typer.echo(printable(f"{entry.name:<{width}}  {entry.kind}  {entry.native_size or '?'} px  {entry.path}"))
    for problem in problems:
        typer.echo(printable(f"cannot be used: {problem}"), err=True)


@app.command()
def show(
    name: Name = "pocket",
    words: Annotated[bool, typer.Option("--words", help="List the words that a small model knows.")] = False,
    as_json: options.Json = False,
) -> None:
    """Show a checkpoint's kind, native size, weights, hash and licence, without loading it."""
    from retouch.models.components import read_notes
    from retouch.models.registry import describe

    described = describe(name)
    facts = _plain(asdict(described))
    if described.words is None and not as_json:
        facts["words"] = "any"
    if words:
        facts["vocabulary"] = sorted(read_notes(described.path).vocabulary or ())
    if as_json:
        typer.echo(json.dumps(facts))
        return
    for key, value in facts.items():
        typer.echo(printable(f"{key.replace('_', ' ')}: {_told(value)}"))


@app.command()
def download(name: HubId) -> None:
    """Bring a checkpoint from the hub into its cache, whole, and tell where it is."""
    from retouch.models.locate import locate

    typer.echo(printable(str(locate(name).path)))


def _plain(facts: Mapping[str, Any]) -> dict[str, Any]:
    return {key: str(value) if isinstance(value, Path) else value for key, value in facts.items()}


def _told(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {number:,}" for key, number in value.items())
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return "not known" if value in (None, "") else str(value)
