"""What tests of packages share: one Azure folder of the tiny checkpoint, and the platforms' environments."""

from pathlib import Path

import pytest
from tests.package.platforms import environment

from retouch.package.azure_folder import write_azure_folder


@pytest.fixture(scope="session")
def folder(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `retouch package azure` writes; its model is what `retouch package mlflow` writes."""
    return write_azure_folder(tmp_path_factory.mktemp("package") / "azure", str(checkpoint))


@pytest.fixture(scope="session")
def mlflow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of an environment with the real MLflow."""
    return environment("mlflow", tmp_path_factory.mktemp("environments"))


@pytest.fixture(scope="session")
def azure(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of an environment with Azure's SDK and inference server."""
    return environment("azure", tmp_path_factory.mktemp("environments"))
