"""An online deployment of Azure ML, read for this machine: what has a meaning here, and what has none.

Keys that Azure's own classes refuse are errors here, too: one that is misspelt would be left out in silence.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import yaml

from retouch.errors import BadInput
from retouch.serve.settings import ServeSettings

_LABELS = frozenset({"$schema", "name", "endpoint_name", "description", "tags", "properties", "type"})
"""What names a deployment, and does nothing."""
_HONOURED = frozenset({"model", "environment_variables", "instance_count", "request_settings"})
_WHY = {
    "code_configuration": "retouch itself answers",
    "environment": "what is installed is used",
    "instance_type": "this machine is what it is",
    "liveness_probe": "nobody probes; /health/live answers whoever does",
    "readiness_probe": "nobody probes; /health/ready answers whoever does",
    "scale_settings": "instance_count engines run",
    "app_insights_enabled": "/metrics has the numbers",
    "model_mount_path": "the model is read where it lies",
    "egress_public_network_access": "",
    "data_collector": "nothing that was sent is kept",
    "private_network_connection": "",
}
_REQUEST_SETTINGS = frozenset(
    {"request_timeout_ms", "max_concurrent_requests_per_instance", "max_queue_wait_ms"},
)


@dataclass(frozen=True, slots=True)
class Deployment:
    """What a file asks for.

    Attributes:
        folder: of the file, from which its paths are told.
        content: its keys.
    """

    folder: Path
    content: Mapping[str, Any] = field(repr=False)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a file.

        Raises:
            BadInput: it is no online deployment, or has a key that none has.
        """
        try:
            document = yaml.safe_load(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, yaml.YAMLError) as error:
            raise BadInput(f"{path} cannot be read as YAML", hint="an online deployment of Azure ML") from error
        content = _keys(document, _LABELS | _HONOURED | _WHY.keys(), path.name)
        _keys(content.get("request_settings") or {}, _REQUEST_SETTINGS, "request_settings")
        return cls(path.parent, content)

    @property
    def model(self) -> str | None:
        """The checkpoint that lies at a local path, in a package too; None where a registry has it."""
        model = self.content.get("model")
        path = model.get("path") if isinstance(model, dict) else model
        if not isinstance(path, str) or path.startswith("azureml:"):
            return None
        packed = self.folder / path / "artifacts" / "checkpoint"
        return str(packed if packed.is_dir() else self.folder / path)

    @property
    def variables(self) -> Mapping[str, str]:
        """What the deployment puts into the environment."""
        given = self.content.get("environment_variables") or {}
        if not isinstance(given, dict):
            raise BadInput("environment_variables is no object", hint="NAME: value")
        return {str(name): str(value) for name, value in given.items()}

    @property
    def instances(self) -> int:
        """How many engines there shall be."""
        return _number(self.content, "instance_count") or 1

    def settings(self) -> dict[str, Any]:
        """Return the server's settings that the deployment asks for.

        Azure's gateway answers 429 past twice the concurrent requests of all instances together.
        """
        asked = self.content.get("request_settings") or {}
        chosen: dict[str, Any] = {}
        if (timeout_ms := _number(asked, "request_timeout_ms")) is not None:
            chosen["deadline_s"] = timeout_ms / 1000
        if (at_once := _number(asked, "max_concurrent_requests_per_instance")) is not None:
            # A request of several rows is one for the gateway.
            one_request: int = ServeSettings.model_fields["rows_per_request"].default
            chosen["max_queued_rows"] = max(2 * at_once * self.instances, one_request)
        return chosen

    def without_meaning(self) -> Iterator[str]:
        """Yield a line for each key that changes nothing on this machine."""
        if self.content.get("model") is not None and self.model is None:
            yield "model: no registry is asked; --model names the checkpoint"
        if "max_queue_wait_ms" in (self.content.get("request_settings") or {}):
            yield "max_queue_wait_ms has no meaning here: a request waits until its deadline"
        if "WORKER_COUNT" in self.variables:
            yield "WORKER_COUNT has no meaning here: one process serves, with instance_count engines"
        for name in self.content:
            if name in _WHY:
                yield f"{name} has no meaning here: {_WHY[name]}".removesuffix(": ")


def _keys(given: object, known: frozenset[str], where: str) -> dict[str, Any]:
    if not isinstance(given, dict):
        raise BadInput(f"{where} is not an object of keys", hint="an online deployment of Azure ML")
    for name in given:
        if name not in known:
            hint = f"Azure's own classes refuse it; known: {', '.join(sorted(known))}"
            raise BadInput(f"{where}: {str(name)[:60]!r} is no key of an online deployment", hint=hint)
    return given


def _number(given: Mapping[str, Any], name: str) -> int | None:
    value = given.get(name)
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
        raise BadInput(f"{name} is {value!r}", hint="a whole number from 1 on")
    return value
