"""compose.yaml runs the image as closed as it can be."""

from typing import Any

import pytest
import yaml
from tests.deploy.dockerfiles import ROOT

from retouch.serve.settings import ServeSettings

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]


@pytest.fixture(params=sorted(SERVICES))
def service(request: pytest.FixtureRequest) -> dict[str, Any]:
    found: dict[str, Any] = SERVICES[request.param]
    return found


def test_nothing_of_a_service_is_written_but_jobs_and_tmp(service: dict[str, Any]) -> None:
    assert service["read_only"] is True
    assert [one.partition(":")[0] for one in service["tmpfs"]] == ["/tmp"]
    mounts = [one.split(":") for one in service["volumes"]]
    assert {mount[1] for mount in mounts if mount[2:] != ["ro"]} == {"/jobs"}
    assert {mount[1] for mount in mounts if mount[2:] == ["ro"]} == {"/models"}


def test_a_service_may_do_nothing_that_it_need_not(service: dict[str, Any]) -> None:
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["user"] == "10001:10001"
    assert "privileged" not in service
    assert service["pids_limit"] > 0
    assert service["mem_limit"]


def test_a_service_is_reached_from_this_machine_alone_and_with_keys(service: dict[str, Any]) -> None:
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])
    [secret] = service["secrets"]
    assert service["environment"]["RETOUCH_API_KEYS_FILE"] == f"/run/secrets/{secret}"
    assert secret in COMPOSE["secrets"]
    assert "RETOUCH_API_KEYS" not in service["environment"]


def test_a_service_is_given_the_time_to_drain(service: dict[str, Any]) -> None:
    grace_s = float(service["stop_grace_period"].removesuffix("s"))
    assert grace_s >= ServeSettings.model_fields["drain_s"].default + 5


def test_services_have_jobs_of_their_own() -> None:
    volumes = [one.split(":")[0] for service in SERVICES.values() for one in service["volumes"] if "/jobs" in one]
    assert len(volumes) == len(set(volumes)) == len(SERVICES)
    assert set(volumes) == COMPOSE["volumes"].keys()
