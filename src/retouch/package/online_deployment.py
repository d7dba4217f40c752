"""An online deployment of Azure ML as settings of the server."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from retouch.package.deployment import LABELS, Deployment, number, section
from retouch.serve.settings import ServeSettings

_HONOURED = frozenset({"model", "environment_variables", "instance_count", "request_settings"})
_REQUEST_SETTINGS = frozenset(
    {"request_timeout_ms", "max_concurrent_requests_per_instance", "max_queue_wait_ms"},
)


class OnlineDeployment(Deployment):
    """What a file asks of a server."""

    KIND: ClassVar[str] = "an online deployment"
    OPTIONS: ClassVar[Mapping[str, str]] = {
        "model": "model",
        "deadline_s": "request_timeout_ms",
        "max_queued_rows": "max_concurrent_requests_per_instance",
    }
    WHY: ClassVar[Mapping[str, str]] = {
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

    def check(self, name: str) -> None:
        self.known(self.content, LABELS | _HONOURED | self.WHY.keys(), name)
        self.known(section(self.content, "request_settings"), _REQUEST_SETTINGS, "request_settings")

    @property
    def instances(self) -> int:
        """How many engines there shall be."""
        return number(self.content, "instance_count") or 1

    def settings(self) -> dict[str, Any]:
        """Return the server's settings that the deployment asks for.

        Azure's gateway answers 429 past twice the concurrent requests of all instances together.
        """
        asked = section(self.content, "request_settings")
        chosen: dict[str, Any] = {}
        if (timeout_ms := number(asked, "request_timeout_ms")) is not None:
            chosen["deadline_s"] = timeout_ms / 1000
        if (at_once := number(asked, "max_concurrent_requests_per_instance")) is not None:
            # A request of several rows is one for the gateway.
            one_request: int = ServeSettings.model_fields["rows_per_request"].default
            chosen["max_queued_rows"] = max(2 * at_once * self.instances, one_request)
        return chosen

    def without_meaning(self) -> Iterator[str]:
        yield from super().without_meaning()
        if "max_queue_wait_ms" in section(self.content, "request_settings"):
            yield "max_queue_wait_ms has no meaning here: a request waits until its deadline"
        if "WORKER_COUNT" in self.variables:
            yield "WORKER_COUNT has no meaning here: one process serves, with instance_count engines"
