"""`retouch serve`: the server, from its options and the environment."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from retouch.cli import options
from retouch.cli.batch_options import RunCommand
from retouch.cli.deployments import as_served
from retouch.cli.loading import Checkpoint
from retouch.cli.replicas import Load, as_replicas, check_alone, check_cluster, run_replicas
from retouch.errors import BadInput
from retouch.request import SafetyPolicy

if TYPE_CHECKING:
    from retouch.serve.settings import ServeSettings

app = typer.Typer(rich_markup_mode=None, add_completion=False, pretty_exceptions_enable=False)


@app.command(name="serve", cls=RunCommand)
def serve(
    *,
    host: Annotated[str | None, typer.Option(help="Address to listen on.  [default: 127.0.0.1]")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on.  [default: 8000]")] = None,
    api_keys_file: Annotated[Path | None, typer.Option(help="Keys of clients, one a line as name:key.")] = None,
    insecure: Annotated[bool | None, typer.Option("--insecure", help="Listen to others without keys.")] = None,
    allowed_hosts: Annotated[
        list[str] | None, typer.Option("--allowed-host", help="A name by which clients call the server.")
    ] = None,
    cors_origins: Annotated[
        list[str] | None, typer.Option("--cors-origin", help="A web origin whose pages may call it.")
    ] = None,
    picture_hosts: Annotated[
        list[str] | None, typer.Option("--picture-host", help="A host to fetch pictures from, by https.")
    ] = None,
    jobs_folder: Annotated[Path | None, typer.Option(help="Where jobs are kept over a restart.")] = None,
    resume_jobs: Annotated[
        bool | None, typer.Option("--resume-jobs", help="Start again what a crash interrupted.")
    ] = None,
    batch_root: Annotated[
        Path | None, typer.Option(help="A folder whose tables and pictures clients may name in batches.")
    ] = None,
    safety: Annotated[
        SafetyPolicy | None, typer.Option(help="The policy where a request names none.  [default: black]")
    ] = None,
    allow_safety_off: Annotated[
        bool | None, typer.Option("--allow-safety-off", help="Let requests switch the check off.")
    ] = None,
    screen_input: Annotated[
        bool | None, typer.Option("--screen-input", help="Judge the pictures that come in, too.")
    ] = None,
    content_safety: Annotated[
        bool | None, typer.Option("--content-safety", help="Ask Azure AI Content Safety.")
    ] = None,
    error_profile: Annotated[
        str | None, typer.Option(help="Errors of /score: honest, or azure for those of its container.")
    ] = None,
    limit: Annotated[
        list[str] | None, typer.Option("--limit", help="A limit as name=number; docs/serve.md lists them.")
    ] = None,
    deployment: Annotated[
        Path | None, typer.Option(help="Azure ML's YAML of an online deployment; options come before it.")
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="Check settings and model, and start nothing.")] = False,
    model: options.Model = None,
    device: Annotated[
        str, typer.Option(help="A device, or several with commas: one engine each.", show_default=True)
    ] = "auto",
    vae: options.Vae = None,
    dtype: options.Dtype = "auto",
    threads: options.Threads = None,
    lora: options.Lora = None,
    embedding: options.Embedding = None,
    allow_pickle: options.AllowPickle = False,
    offline: options.Offline = False,
    config_from: options.ConfigFrom = None,
    prediction_type: options.PredictionTypeOption = None,
    rows_per_call: options.RowsPerCall = None,
    ray: Annotated[
        str | None,
        typer.Option(
            "--ray",
            metavar="[ADDRESS]",
            help="Serve on a Ray cluster: HOST:PORT, auto, or local.  [default: RAY_ADDRESS, else local]",
        ),
    ] = None,
    replicas: Annotated[
        str | None,
        typer.Option(help="With --ray: how many, or MIN-MAX for as many as the queue asks for.  [default: 1]"),
    ] = None,
    replica_gpus: Annotated[
        float | None,
        typer.Option(min=0.0, help="GPUs of a replica; 0.5 lets two share one.  [default: 1 if there are any]"),
    ] = None,
    replica_rows: Annotated[
        int | None, typer.Option(min=1, help="Pictures under way that are one replica's share.  [default: 8]")
    ] = None,
    max_queued_requests: Annotated[
        int | None, typer.Option(min=1, help="Requests that wait for a replica at each proxy.  [default: 64]")
    ] = None,
    also: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=CHECKPOINT[,LORA...]", help="Another model, below /models/NAME."),
    ] = None,
    debug: options.Debug = False,
) -> None:
    """Serve a model over HTTP, in the dialects of Azure ML, OpenAI, A1111 and our own."""
    given = locals()
    if deployment is not None:
        given = as_served(deployment, given | _limits(limit or ()))
    if given["ray"] is not None:
        given = as_replicas(given)
    settings = settings_of(given)
    (check_alone if given["ray"] is None else check_cluster)(given)
    checkpoints = [Checkpoint.of(given | {"device": name}) for name in given["device"].split(",")]
    for checkpoint in checkpoints:
        checkpoint.check()
    from retouch.serve import start
    from retouch.serve.logs import write_logs

    if check:
        start.check(settings)
        typer.echo("settings and model are in order", err=True)
        return
    write_logs(logging.getLevelNamesMapping()[settings.log_level.upper()])
    if given["ray"] is not None:
        run_replicas(given, settings)
        return
    start.start(settings, Load.of(checkpoints, settings)).run()


def settings_of(given: Mapping[str, Any]) -> "ServeSettings":
    """Make the settings of what was given; the environment fills in the rest."""
    from retouch.serve.settings import ServeSettings

    chosen = {name: given[name] for name in ServeSettings.model_fields if given.get(name) is not None}
    return ServeSettings.of(**(chosen | _limits(given["limit"] or ())))


def _limits(given: Sequence[str]) -> dict[str, str]:
    """Read `name=number`s."""
    from retouch.serve.settings import LIMITS

    limits = {}
    for one in given:
        name, _, value = one.partition("=")
        if name not in LIMITS or not value:
            raise BadInput(f"--limit {one!r} is none", hint=f"name=number, with one of: {', '.join(LIMITS)}")
        limits[name] = value
    return limits
