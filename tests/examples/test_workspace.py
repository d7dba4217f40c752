"""Where the examples deploy, and what they ask of Azure's own SDK."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest
from tests.examples.conftest import ROOT
from tests.package.platforms import environment, run, variables

from retouch.package.azure_folder import documents
from retouch.package.mlflow_model import write_yaml

VARIABLES = ("SUBSCRIPTION_ID", "RESOURCE_GROUP", "WORKSPACE_NAME")


@pytest.fixture
def workspace(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module that the notebooks import."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    spec = importlib.util.spec_from_file_location("workspace", ROOT / "examples" / "azureml" / "workspace.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_without_the_three_variables_it_is_this_machine(workspace: ModuleType) -> None:
    assert type(workspace.connect()).__name__ == "ThisMachine"


def test_some_of_the_three_variables_are_an_error(workspace: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKSPACE_NAME", "w")
    with pytest.raises(ValueError, match="SUBSCRIPTION_ID, RESOURCE_GROUP, WORKSPACE_NAME"):
        workspace.connect()


@pytest.mark.slow
def test_azures_sdk_takes_what_the_examples_ask_of_it(tmp_path: Path) -> None:
    azure = environment("azure", tmp_path / "environments")
    for name, document in documents().items():
        write_yaml(tmp_path / name, document)
    for folder in ("model", "code", "environment"):
        (tmp_path / folder).mkdir()
    (tmp_path / "environment" / "conda.yaml").write_text("name: retouch\n")
    for script in ("score_online.py", "score_batch.py"):
        (tmp_path / "code" / script).write_text("")
    (tmp_path / "request.json").write_text("{}")
    script = Path(__file__).with_name("recorded.py")
    printed = run([azure / "python", script, ROOT / "examples" / "azureml"], variables(), tmp_path)
    assert json.loads(printed.splitlines()[-1]) == [
        *["online_endpoints.begin_create_or_update", "online_deployments.begin_create_or_update"],
        *["online_endpoints.begin_create_or_update", "online_endpoints.invoke", "online_endpoints.begin_delete"],
        *["compute.get", "compute.begin_create_or_update", "batch_endpoints.begin_create_or_update"],
        *["batch_deployments.begin_create_or_update", "batch_endpoints.invoke", "jobs.stream", "jobs.list"],
        *["jobs.download", "batch_endpoints.begin_delete"],
    ]
