"""`--deployment`: a deployment of Azure ML as the options of `retouch serve`."""

import os
from collections.abc import Mapping
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import typer

from retouch.cli.failures import printable


def as_deployed(path: Path, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options with those of a file where none was given; tell what of it has no meaning here.

    The file's variables are set, unless the environment has them already: a key does not belong into a file.

    Raises:
        BadInput: the file is no online deployment.
    """
    from retouch.package.deployment import Deployment
    from retouch.safety.azure.settings import PREFIX

    deployment = Deployment.read(path)
    chosen = {**deployment.settings(), "model": deployment.model}
    for name, value in deployment.variables.items():
        os.environ.setdefault(name, value)
    if any(name.startswith(PREFIX) for name in deployment.variables):
        chosen["content_safety"] = True
    devices = given["device"].split(",")
    engines = islice(cycle(devices), max(deployment.instances, len(devices)))
    for line in deployment.without_meaning():
        typer.echo(printable(f"--deployment: {line}"), err=True)
    filled = {name: value for name, value in chosen.items() if given.get(name) is None}
    return {**given, **filled, "device": ",".join(engines)}
