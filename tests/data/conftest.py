from pathlib import Path

import pytest
from tests.data_factories import make_data

from retouch.data.compose import SceneComposer


@pytest.fixture(scope="session")
def data_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_data(tmp_path_factory.mktemp("pocket-data"))


@pytest.fixture(scope="session")
def composer(data_folder: Path) -> SceneComposer:
    return SceneComposer.open(data_folder, size=64)


@pytest.fixture(scope="session")
def validation(data_folder: Path) -> SceneComposer:
    return SceneComposer.open(data_folder, size=64, split="validation")
