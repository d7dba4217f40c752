"""`retouch replay`: make a saved result again, and compare."""

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from retouch.cli import inputs, options
from retouch.cli.failures import printable
from retouch.cli.limits import limits
from retouch.cli.loading import Checkpoint
from retouch.cli.outcome import write_pictures
from retouch.cli.outputs import Destination
from retouch.errors import RetouchError

if TYPE_CHECKING:
    from retouch.record import Record
    from retouch.replay import Replayed

app = typer.Typer(rich_markup_mode=None, add_completion=False, pretty_exceptions_enable=False)

Saved = Annotated[Path, typer.Argument(help="A result that retouch wrote, with its metadata.", metavar="RESULT")]
Original = Annotated[
    Path | None, typer.Option("--image", "-i", help="The picture it was made from, where that is needed.")
]
NewFile = Annotated[Path | None, typer.Option("--output", "-o", help="Also write the new picture.")]


@app.command(name="replay")
def replay(
    result: Saved,
    image: Original = None,
    output: NewFile = None,
    model: options.Model = None,
    device: options.Device = "auto",
    vae: options.Vae = None,
    dtype: options.Dtype = "auto",
    threads: options.Threads = None,
    lora: options.Lora = None,
    embedding: options.Embedding = None,
    allow_pickle: options.AllowPickle = False,
    offload: options.Offload = False,
    config_from: options.ConfigFrom = None,
    prediction_type: options.PredictionTypeOption = None,
    as_json: options.Json = False,
    overwrite: options.Overwrite = False,
    debug: options.Debug = False,
) -> None:
    """Make a saved result again; exit with 0 where every pixel is the same, else with 1."""
    checkpoint = Checkpoint.of(locals())
    destination = None
    if output is not None:
        destination = Destination(output, inputs=inputs.files(result, image), overwrite=overwrite)
        destination.check(1, as_json=as_json)
    replayed = _replay(result, image, checkpoint)
    if destination is not None:
        write_pictures(replayed.result, destination, metadata=True)
    if as_json:
        typer.echo(_to_json(replayed))
    typer.echo(printable(_to_text(replayed)), err=True)
    if not replayed.is_identical:
        raise typer.Exit(RetouchError.exit_code)


def _replay(saved: Path, image: Path | None, checkpoint: Checkpoint) -> "Replayed":
    from retouch.inpainter import Inpainter
    from retouch.replay import remember, settings_for
    from retouch.replay import replay as make_again

    memory = remember(saved, limits=limits())
    original = None if image is None else inputs.picture(image, option="--image")
    bundle = _as_recorded(checkpoint, memory.record).load_bundle()
    with Inpainter(bundle, settings=settings_for(memory.record, bundle), limits=limits()) as inpainter:
        return make_again(memory, inpainter, image=original)


def _as_recorded(checkpoint: Checkpoint, record: "Record") -> Checkpoint:
    """Take what is not named from the record: the model, told by its weights, the precision and the threads.

    A picture never makes us download a model. On another kind of device its precision would make nothing equal.
    """
    from retouch.models.devices import pick_device
    from retouch.replay import known_model

    checkpoint = replace(checkpoint, threads=checkpoint.threads or record.threads)
    if checkpoint.dtype == "auto" and pick_device(checkpoint.device).type == record.device_type:
        checkpoint = replace(checkpoint, dtype=record.dtype or "auto", vae_dtype=record.vae_dtype or "auto")
    return checkpoint if checkpoint.model else replace(checkpoint, model=known_model(record), offline=True)


def _to_json(replayed: "Replayed") -> str:
    names = ("is_identical", "max_difference", "notes")
    return json.dumps({name: getattr(replayed, name) for name in names})


def _to_text(replayed: "Replayed") -> str:
    if replayed.is_identical:
        return "identical"
    return "\n".join([f"different: by up to {replayed.max_difference:.2%} of the range", *replayed.notes])
