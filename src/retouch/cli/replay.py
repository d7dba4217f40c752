"""`retouch replay`: make a saved result again, and compare."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from retouch.cli import inputs, options
from retouch.cli.loading import Checkpoint
from retouch.cli.outputs import Destination
from retouch.errors import RetouchError

if TYPE_CHECKING:
    from retouch.replay import Replayed

app = typer.Typer(rich_markup_mode=None, add_completion=False, pretty_exceptions_enable=False)

Saved = Annotated[Path, typer.Argument(help="A result that retouch wrote, with its metadata.", metavar="RESULT")]
Original = Annotated[
    Path | None,
    typer.Option("--image", "-i", help="The picture it was made from, where that is needed."),
]
NewFile = Annotated[Path | None, typer.Option("--output", "-o", help="Also write the new picture.")]


@app.command(name="replay")
def replay(
    result: Saved,
    image: Original = None,
    output: NewFile = None,
    model: options.Model = None,
    device: options.Device = "auto",
    as_json: options.Json = False,
    debug: options.Debug = False,  # noqa: ARG001 - its callback does the work
) -> None:
    """Make a saved result again; exit with 0 where every pixel is the same, else with 1."""
    destination = None if output is None else Destination(output, inputs=(result,))
    if destination is not None:
        destination.check(1, as_json=as_json)
    replayed = _replay(result, image, Checkpoint(model=model, device=device))
    if destination is not None:
        replayed.result.save(destination.output)
    if as_json:
        typer.echo(json.dumps({"is_identical": replayed.is_identical, "differences": replayed.differences}))
    typer.echo("identical" if replayed.is_identical else f"different: {replayed.differences}", err=True)
    if not replayed.is_identical:
        raise typer.Exit(RetouchError.exit_code)


def _replay(saved: Path, image: Path | None, checkpoint: Checkpoint) -> "Replayed":
    from retouch.replay import replay as again

    original = None if image is None else inputs.picture(image, option="--image")
    if checkpoint == Checkpoint():  # then the model that the result itself names
        return again(saved, image=original)
    with checkpoint.load() as inpainter:
        return again(saved, image=original, inpainter=inpainter)
