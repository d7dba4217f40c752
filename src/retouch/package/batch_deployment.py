"""A batch deployment of Azure ML as options of `retouch batch run`."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from retouch.errors import BadInput
from retouch.package.deployment import LABELS, Deployment, number, section
from retouch.serve.settings import ServeSettings

_HONOURED = frozenset({"model", "environment_variables", "resources"})
_SETTINGS = frozenset(
    {
        *("error_threshold", "retry_settings", "mini_batch_size", "logging_level", "output_action"),
        *("output_file_name", "max_concurrency_per_instance"),
    }
)
_NESTED = _SETTINGS | {"instance_count", "environment_variables"}
_RETRY = frozenset({"max_retries", "timeout"})
_RESOURCES = frozenset(
    {
        *("instance_count", "instance_type", "max_instance_count", "properties"),
        *("locations", "shm_size", "docker_args"),
    }
)
_WHY_SETTINGS = {
    "mini_batch_size": "rows are painted and kept one by one, whatever file they are in",
    "logging_level": "--debug shows the log",
}
SAFEGUARDS = ("safety", "screen_input", "content_safety")
"""Settings of a server that mean the same for a batch, by their variables."""


class BatchDeployment(Deployment):
    """What a file asks of a batch."""

    KIND: ClassVar[str] = "a batch deployment of a model"
    OPTIONS: ClassVar[Mapping[str, str]] = {
        "model": "model",
        "max_failures": "error_threshold",
        "attempts": "max_retries",
        "deadline_s": "timeout",
        "formats": "output_action",
        "ray_actors": "instance_count",
    }
    WHY: ClassVar[Mapping[str, str]] = {
        "code_configuration": "retouch itself paints",
        "environment": "what is installed is used",
        "compute": "this machine is what it is; --ray names a cluster",
    }

    def check(self, name: str) -> None:
        kind = self.content.get("type")
        if kind not in (None, "model"):
            raise BadInput(
                f"{name}: type is {kind!r}", hint="a deployment of a model; a pipeline runs on Azure alone"
            )
        # Without a type it is of the first form, whose settings stand beside the other keys.
        settings = _SETTINGS if kind is None else {"settings"}
        self.known(self.content, LABELS | _HONOURED | self.WHY.keys() | settings, name)
        self.known(section(self.content, "settings"), _NESTED, "settings")
        self.known(section(self._settings, "retry_settings"), _RETRY, "retry_settings")
        self.known(section(self.content, "resources"), _RESOURCES, "resources")

    @property
    def variables(self) -> Mapping[str, str]:
        """What the deployment puts into the environment."""
        given = {
            **section(self.content, "environment_variables"),
            **section(self._settings, "environment_variables"),
        }
        return {str(name): str(value) for name, value in given.items()}

    @property
    def models(self) -> int:
        """How many processes Azure would start, each with a model."""
        instances = number(section(self.content, "resources"), "instance_count")
        instances = instances or number(self._settings, "instance_count") or 1
        return instances * (number(self._settings, "max_concurrency_per_instance") or 1)

    def settings(self) -> dict[str, Any]:
        """Return the options of the batch that it asks for; without an `output_action` Azure's default."""
        retry = section(self._settings, "retry_settings")
        chosen: dict[str, Any] = {"ray_actors": self.models}
        if (failures := number(self._settings, "error_threshold", -1)) not in (None, -1):
            chosen["max_failures"] = str(failures)
        if (retries := number(retry, "max_retries", 0)) is not None:
            chosen["attempts"] = retries + 1
        if (timeout_s := number(retry, "timeout")) is not None:
            chosen["deadline_s"] = float(timeout_s)
        action = self._settings.get("output_action", "append_row")
        if action not in ("append_row", "summary_only"):
            raise BadInput(f"output_action is {action!r}", hint="append_row or summary_only")
        chosen["formats"] = ["azure"] if action == "append_row" else []
        if (name := self._settings.get("output_file_name")) is not None:
            chosen["output_file_name"] = str(name)
        return chosen

    def without_meaning(self) -> Iterator[str]:
        yield from super().without_meaning()
        for name in self._settings:
            if name in _WHY_SETTINGS:
                yield f"{name} has no meaning here: {_WHY_SETTINGS[name]}"
        for name in section(self.content, "resources"):
            if name != "instance_count":
                yield f"resources.{name} has no meaning here"
        of_a_server = {f"RETOUCH_{name}".upper() for name in ServeSettings.model_fields if name not in SAFEGUARDS}
        for name in self.variables:
            if name in of_a_server:
                yield f"{name} has no meaning here: no server runs"

    @property
    def _settings(self) -> Mapping[str, Any]:
        return section(self.content, "settings") if self.content.get("type") else self.content
