"""What tests of the examples share: a copy of them, and an environment without anything of ours or a network."""

import os
import shutil
import sys
from pathlib import Path

import pytest

import retouch

ROOT = Path(__file__).parents[2]
_OURS = ("RETOUCH_", "CONTENT_SAFETY_", "UAI_", "SUBSCRIPTION_ID", "RESOURCE_GROUP", "WORKSPACE_NAME")


@pytest.fixture
def examples(tmp_path: Path) -> Path:
    """The folder of Azure ML's examples, in a copy."""
    made_by_a_run = shutil.ignore_patterns(
        "inpainting-azure", "*tables", "*generated", "pictures", "jobs", "*.log"
    )
    shutil.copytree(ROOT / "examples", tmp_path / "examples", ignore=made_by_a_run)
    return tmp_path / "examples" / "azureml"


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """The variables that an example runs with: whoever asks anything but this machine finds nobody."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
    nobody = "http://127.0.0.1:9"
    return kept | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(Path(retouch.__file__).parents[1]),
        "HF_HUB_OFFLINE": "1",
        "IPYTHONDIR": str(tmp_path / "ipython"),
        **{f"{kind}_proxy": nobody for kind in ("http", "https")},
        "no_proxy": "127.0.0.1,localhost",
    }
