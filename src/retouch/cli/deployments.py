"""`--deployment`: a deployment of Azure ML as the options of `retouch serve` or `retouch batch run`."""

import os
from collections.abc import Mapping
from itertools import cycle, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from retouch.cli.failures import printable

if TYPE_CHECKING:
    from retouch.package.deployment import Deployment

_SERVER_FLAGS = {"deadline_s": "--limit", "max_queued_rows": "--limit"}
_BATCH_FLAGS = {"deadline_s": "--deadline", "formats": "--format"}


def as_served(path: Path, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of a server, a file's where none was given; tell what of the file is without effect.

    The file's variables are set, unless the environment has them already: a key does not belong into a file.

    Raises:
        BadInput: the file is no online deployment.
    """
    from retouch.package.online_deployment import OnlineDeployment

    deployment = OnlineDeployment.read(path)
    chosen = {"model": deployment.model} | deployment.settings() | _environment(deployment)
    devices = given["device"].split(",")
    engines = islice(cycle(devices), max(deployment.instances, len(devices)))
    return {**_filled(deployment, given, chosen, _SERVER_FLAGS), "device": ",".join(engines)}


def as_batch(path: Path, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of a batch with those of a file where none was given, as `as_served` does.

    Raises:
        BadInput: the file is no batch deployment of a model.
    """
    from retouch.package.batch_deployment import SAFEGUARDS, BatchDeployment
    from retouch.serve.settings import ServeSettings

    deployment = BatchDeployment.read(path)
    chosen = {"model": deployment.model} | deployment.settings() | _environment(deployment)
    settings = ServeSettings.of()
    for name in SAFEGUARDS:
        if f"RETOUCH_{name.upper()}" in deployment.variables:
            chosen.setdefault(name, getattr(settings, name))
    if given["ray"] is None and (models := chosen.pop("ray_actors")) > 1:
        _tell(f"instance_count, max_concurrency_per_instance: one model paints here; --ray has {models} paint")
    return _filled(deployment, given, chosen, _BATCH_FLAGS)


def _environment(deployment: "Deployment") -> dict[str, Any]:
    """Set a deployment's variables; return the options that they mean."""
    from retouch.safety.azure.settings import PREFIX

    for name, value in deployment.variables.items():
        os.environ.setdefault(name, value)
    return {"content_safety": True} if any(name.startswith(PREFIX) for name in deployment.variables) else {}


def _filled(
    deployment: "Deployment", given: Mapping[str, Any], chosen: Mapping[str, Any], flags: Mapping[str, str]
) -> dict[str, Any]:
    """Fill in what no option says; tell what an option says otherwise, and what means nothing here."""
    filled = dict(given)
    for name, value in chosen.items():
        if given.get(name) is None or given[name] is False:
            filled[name] = value
        elif name in deployment.OPTIONS and value is not None and value != given[name]:
            flag = flags.get(name, f"--{name.replace('_', '-')}")
            _tell(f"{deployment.OPTIONS[name]} is left to {flag}, which comes before it")
    for line in deployment.without_meaning():
        _tell(line)
    return filled


def _tell(line: str) -> None:
    typer.echo(printable(f"--deployment: {line}"), err=True)
