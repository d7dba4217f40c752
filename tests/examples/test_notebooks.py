"""The notebooks of the card's table, each run to its end on this machine."""

import base64
import io
import json
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbclient
import nbformat
import numpy as np
import pytest
from PIL import Image
from tests.examples.conftest import ROOT
from tests.safety.azure.service import KEY
from tests.safety.azure.service import running as content_safety
from traitlets.config import Config

from retouch.package.azure_folder import documents
from retouch.package.mlflow_model import write_yaml

ONLINE, BATCH = "text-to-image-inpainting-online-endpoint.ipynb", "text-to-image-inpainting-batch-endpoint.ipynb"
SAFE_ONLINE = "safe-text-to-image-inpainting-online-deployment.ipynb"
SAFE_BATCH = "safe-text-to-image-inpainting-batch-endpoint.ipynb"
NOTEBOOKS = {ONLINE: [1, 2, 1], BATCH: [1, 3], SAFE_ONLINE: [1, 1], SAFE_BATCH: [1, 1]}
"""How many pictures stand beside the sample in each output: its mask first."""


def executed(path: Path, env: dict[str, str]) -> list[Any]:
    """Run a notebook; return the outputs of all its cells."""
    notebook = nbformat.read(path, as_version=4)
    # Sockets of this machine's files, by a name that is short enough for them: no port is opened for the kernel.
    with tempfile.TemporaryDirectory() as sockets:
        client = nbclient.NotebookClient(
            notebook,
            timeout=200,
            kernel_name="python3",
            resources={"metadata": {"path": str(path.parent)}},
            config=Config(ConnectionFileMixin={"transport": "ipc", "ip": f"{sockets}/kernel"}),
        )
        client.execute(env=env)
    return [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]


def pictures(outputs: list[Any]) -> Iterator[np.ndarray]:
    for output in outputs:
        if "image/png" in output.get("data", {}):
            yield np.asarray(Image.open(io.BytesIO(base64.b64decode(output.data["image/png"]))))


def texts(outputs: list[Any]) -> str:
    return "\n".join(output.get("text") or output.get("data", {}).get("text/plain", "") for output in outputs)


def assert_painted(shown: np.ndarray, count: int) -> None:
    """Beside the sample stand so many pictures of it, in each of which its hole alone is repainted."""
    sample = np.asarray(Image.open(ROOT / "examples" / "sample.png").convert("RGB"))
    hole = np.asarray(Image.open(ROOT / "examples" / "sample-mask.png"))
    first, *painted = np.split(shown, count + 1, axis=1)
    assert (first == sample).all()
    for one in painted:
        assert (one[~hole] == sample[~hole]).all()
        assert (one[hole] != sample[hole]).mean() > 0.5


@pytest.mark.slow
@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_runs_to_its_end_and_shows_its_pictures(name: str, examples: Path, env: dict[str, str]) -> None:
    outputs = executed(examples / name, env)
    [_, *shown] = pictures(outputs)
    assert len(shown) == len(NOTEBOOKS[name]) - 1
    for picture, count in zip(shown, NOTEBOOKS[name][1:], strict=True):
        assert_painted(picture, count)
    told = texts(outputs)
    assert "ThisMachine" in told
    assert ("a stand-in of the service answers" in told) == name.startswith("safe")
    if name == SAFE_ONLINE:
        assert "{}" in told.splitlines()
    if name == SAFE_BATCH:
        assert "('1', 'Blocked By Azure AI Content Safety', 'False', '0batch_input.csv')" in told


@pytest.mark.slow
def test_the_service_is_asked_where_it_is_configured(examples: Path, env: dict[str, str]) -> None:
    with content_safety() as service:
        more = {"CONTENT_SAFETY_ENDPOINT": service.endpoint, "CONTENT_SAFETY_KEY": KEY}
        outputs = executed(examples / SAFE_ONLINE, env | more)
        assert {call.kind for call in service.calls} == {"text", "image"}
    assert "stand-in" not in texts(outputs)


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_is_kept_without_what_it_showed(name: str) -> None:
    notebook = json.loads((ROOT / "examples" / "azureml" / name).read_text(encoding="utf-8"))
    nbformat.validate(notebook)
    for cell in notebook["cells"]:
        assert cell.get("outputs", []) == []
        assert cell.get("execution_count") is None


def test_the_examples_are_small_and_each_is_named_in_their_page() -> None:
    page = (ROOT / "examples" / "README.md").read_text(encoding="utf-8")
    folders = {ROOT / "examples": ("py", "png"), ROOT / "examples" / "azureml": ("ipynb", "py", "sh")}
    kept = [path for folder, kinds in folders.items() for kind in kinds for path in folder.glob(f"*.{kind}")]
    assert sum(path.stat().st_size for path in kept) < 300_000
    assert [path.name for path in kept if path.name not in page] == []


@pytest.mark.parametrize("name", [SAFE_ONLINE, SAFE_BATCH])
def test_on_azure_the_words_in_capitals_are_filled_in(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for file, document in documents().items():
        write_yaml(tmp_path / file, document)
    given = {"CONTENT_SAFETY_ENDPOINT": "https://mine", "UAI_CLIENT_ID": "client", "UAI_RESOURCE_ID": "/resource"}
    for variable, value in given.items():
        monkeypatch.setenv(variable, value)
    cells = nbformat.read(ROOT / "examples" / "azureml" / name, as_version=4).cells
    [filling] = [cell.source for cell in cells if cell.cell_type == "code" and "WORDS" in cell.source]
    exec(filling, {"os": os, "FOLDER": tmp_path, "workspace": object(), "ThisMachine": type(None)})
    filled = "".join(path.read_text() for path in tmp_path.glob("*-safe.yml"))
    assert all(value in filled for value in given.values())
    assert not re.search(r"ACCOUNT|_OF_THE_IDENTITY", filled)
