"""The shell scripts of the card's table: on this machine, and against an `az` that writes down what it is told."""

import base64
import json
import shlex
import socket
import subprocess
from pathlib import Path

import pytest
from tests.examples.az import answer_of
from tests.factories import make_checkpoint

ONLINE, BATCH = "text-to-image-inpainting-online-endpoint.sh", "text-to-image-inpainting-batch-endpoint.sh"
AZURE = {"SUBSCRIPTION_ID": "s", "RESOURCE_GROUP": "g", "WORKSPACE_NAME": "w"}

pytestmark = pytest.mark.slow


def ran(script: Path, env: dict[str, str]) -> list[str]:
    """Run a script; return the names of the pictures that it wrote."""
    done = subprocess.run(
        [script], check=False, env=env, cwd=script.parent.parent, capture_output=True, text=True, timeout=250
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return sorted(path.name for path in (script.parent / "pictures").iterdir())


def test_a_request_is_answered_here(examples: Path, env: dict[str, str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    assert ran(examples / ONLINE, env | {"PORT": str(port)}) == ["0.png", "1.png"]
    with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port), 5):
        pass


def test_tables_are_painted_here(examples: Path, env: dict[str, str]) -> None:
    assert ran(examples / BATCH, env) == ["0batch_input-0.png", "0batch_input-1.png", "2batch_input-0.png"]
    painted = {path: path.stat().st_mtime_ns for path in (examples / "generated" / "pictures").rglob("*.png")}
    assert len(painted) == 3
    ran(examples / BATCH, env)  # finds all done
    assert {path: path.stat().st_mtime_ns for path in painted} == painted


@pytest.fixture
def azure(tmp_path: Path, env: dict[str, str]) -> dict[str, str]:
    """An environment whose `az` writes down what it is told."""
    (tmp_path / "bin").mkdir()
    az = tmp_path / "bin" / "az"
    az.write_text(f'#!/bin/sh\nexec python {Path(__file__).with_name("az.py")} "$@"\n')
    az.chmod(0o755)
    tiny = str(make_checkpoint(tmp_path / "checkpoint"))
    return (
        env
        | AZURE
        | {"PATH": f"{az.parent}:{env['PATH']}", "AZ_LOG": str(tmp_path / "log"), "RETOUCH_MODEL": tiny}
    )


def told(azure: dict[str, str]) -> list[str]:
    """Return what was asked of `az ml`, without the endpoint's number."""
    lines = [json.loads(line) for line in Path(azure["AZ_LOG"]).read_text().splitlines()]
    return [shlex.join(line[1:]) for line in lines if line[0] == "ml"]


def test_the_same_files_go_to_an_online_endpoint(examples: Path, azure: dict[str, str]) -> None:
    assert ran(examples / ONLINE, azure) == ["0.png"]
    assert (examples / "pictures" / "0.png").read_bytes() == base64.b64decode(answer_of(0))
    assert [line.replace(line.split("inpainting-")[1][:10], "N", 1) for line in told(azure)] == [
        "online-endpoint create --name inpainting-N --file inpainting-azure/online-endpoint.yml",
        "online-deployment create --endpoint-name inpainting-N --file inpainting-azure/online-deployment.yml "
        "--all-traffic",
        "online-endpoint invoke --name inpainting-N --request-file request.json -o json",
        "online-endpoint delete --name inpainting-N --yes",
    ]


def test_the_same_files_go_to_a_batch_endpoint(examples: Path, azure: dict[str, str]) -> None:
    assert ran(examples / BATCH, azure) == ["0batch_input-0.png"]
    asked = [" ".join(line.split()[:2]) for line in told(azure)]
    assert asked == [
        *("compute show", "compute create", "batch-endpoint create", "batch-deployment create"),
        *("batch-endpoint invoke", "job stream", "job download", "batch-endpoint delete"),
    ]
    assert "--file inpainting-azure/batch-deployment.yml --set-default" in "\n".join(told(azure))
