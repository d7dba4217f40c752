"""`retouch package`: a checkpoint as a folder that other platforms take."""

from pathlib import Path
from typing import Annotated

import typer

from retouch.cli import options
from retouch.cli.failures import printable
from retouch.models.options import LoadOptions

app = typer.Typer(
    rich_markup_mode=None,
    add_completion=False,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    help="Pack a checkpoint with the code that runs it, for MLflow or Azure ML.",
)

Folder = Annotated[Path, typer.Option("--output", "-o", help="A new folder for it.")]


@app.command()
def mlflow(*, output: Folder, model: options.Model = None, offline: options.Offline = False) -> None:
    """Write an MLflow model: from code, with safetensors and without a pickle."""
    from retouch.package.mlflow_model import write_mlflow_model

    typer.echo(printable(str(write_mlflow_model(output, model, LoadOptions(local_files_only=offline)))))


@app.command()
def azure(*, output: Folder, model: options.Model = None, offline: options.Offline = False) -> None:
    """Write endpoints and deployments for Azure ML, online and batch, with their scripts and the model."""
    from retouch.package.azure_folder import write_azure_folder

    typer.echo(printable(str(write_azure_folder(output, model, LoadOptions(local_files_only=offline)))))
