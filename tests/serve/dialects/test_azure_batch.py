"""Azure ML's batch endpoint as its REST samples speak to it."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.batch.builders import inline_row, write_csv
from tests.serve.serving import Served, served, until


@pytest.fixture(scope="module")
def running(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    root = tmp_path_factory.mktemp("root")
    folder = root / "inpainting" / "processed_batch_data"
    for start in (0, 2):  # as the notebook of the model writes them
        write_csv(folder / f"{start}batch_input.csv", [inline_row(start), inline_row(start + 1)], index=True)
    with served(checkpoint, safety="off", batch_root=root, per_key_per_minute=0) as running:
        yield running


@pytest.fixture
def client(running: Served) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=running.url, timeout=60) as client:
        yield client


def body(uri: str, kind: str = "UriFolder", **more: Any) -> dict[str, Any]:
    steps = {"JobInputType": "Literal", "Value": "1"}
    inputs = {"in": {"JobInputType": kind, "Uri": uri}, "num_inference_steps": steps}
    return {"properties": {"InputData": inputs, **more}}


def ended(client: httpx.Client, answer: httpx.Response) -> dict[str, Any]:
    """Wait as the samples do: by the last part of the id, below the scoring URI."""
    assert answer.status_code == 201, answer.text
    place = f"/jobs/{answer.json()['id'].rpartition('/')[2]}"
    until(lambda: client.get(place).json()["properties"]["status"] not in ("Queued", "Running"), within_s=60)
    found: dict[str, Any] = client.get(place).json()
    return found


def test_the_folder_of_the_notebook_gives_predictions_as_the_endpoint_writes_them(client: httpx.Client) -> None:
    uri = "azureml://datastores/workspaceblobstore/paths/inpainting/processed_batch_data/"
    job = ended(client, client.post("/jobs", json=body(uri), headers={"azureml-model-deployment": "blue"}))
    assert job["properties"]["status"] == "Completed"
    text = client.get(f"{job['id']}/named-outputs/score/predictions.csv").text
    lines = list(csv.reader(io.StringIO(text)))
    files = ["0batch_input.csv", "0batch_input.csv", "2batch_input.csv", "2batch_input.csv"]
    assert [(line[0], line[3]) for line in lines] == list(zip("0101", files))
    assert all(line[1].startswith("iVBORw0KGgo") for line in lines)


@pytest.mark.parametrize(
    "sent",
    [
        body("inpainting/processed_batch_data/0batch_input.csv", "UriFile", errorThreshold=0, miniBatchSize="1"),
        body("azureml://subscriptions/s/workspaces/w/datastores/d/paths/inpainting/processed_batch_data"),
        {"properties": {"dataset": {"dataInputType": "DataUrl", "Path": "inpainting/processed_batch_data"}}},
    ],
)
def test_other_ways_to_name_an_input_are_read(client: httpx.Client, sent: dict[str, Any]) -> None:
    assert client.post("/jobs", json=sent).status_code == 201


@pytest.mark.parametrize(
    "sent",
    [
        *({}, {"properties": 7}, {"properties": {}}, {"properties": {"InputData": [1]}}),
        {"properties": {"InputData": {"in": {"JobInputType": "UriFolder"}}}},
        {"properties": {"InputData": {"in": {"JobInputType": "MLTable", "Uri": "x"}}}},
        {"properties": {"InputData": {"nobody": {"JobInputType": "Literal", "Value": "1"}}}},
        body("https://example.org/data"),
        body("azureml://datastores/d/paths/../../etc"),
        body("/etc"),
        body("inpainting/processed_batch_data", OutputData={"out": {"Uri": "azureml://datastores/d/paths/x"}}),
        body("inpainting/processed_batch_data", errorThreshold="many"),
        body("inpainting/processed_batch_data", colour="red"),
    ],
)
def test_what_cannot_be_done_is_400_in_azures_words(client: httpx.Client, sent: dict[str, Any]) -> None:
    answer = client.post("/jobs", json=sent)
    assert answer.status_code == 400, answer.text
    assert set(answer.json()["error"]) == {"code", "message"}


def test_a_job_is_listed_and_cancelled(client: httpx.Client) -> None:
    sent = body("inpainting/processed_batch_data")
    sent["properties"]["InputData"]["num_inference_steps"]["Value"] = "150"
    taken = client.post("/jobs", json=sent)
    assert taken.json()["id"] in [job["id"] for job in client.get("/jobs").json()["value"]]
    cancelled = client.post(f"{taken.json()['id']}/cancel").json()
    assert cancelled["properties"]["status"] == "Canceled"
    assert client.get("/jobs/job_nobody").status_code == 404
