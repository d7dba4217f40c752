"""The wheel holds all that the package needs at run time."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this tree, unpacked as an installer would."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


@pytest.mark.slow
def test_the_wheel_alone_repaints_a_picture_with_the_embedded_model(installed: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-c", "from retouch.cli.main import main; main()", "inpaint", "--json"]
    command += ["--image", str(ROOT / "examples/sample.png"), "--mask", str(ROOT / "examples/sample-mask.png")]
    command += ["--prompt", "a red apple", "--num-inference-steps", "2", "--output", str(tmp_path / "out.png")]
    environment = {**os.environ, "PYTHONPATH": str(installed), "HF_HUB_OFFLINE": "1"}
    ran = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    assert json.loads(ran.stdout)["kept_pixels_identical"] is True
    assert (tmp_path / "out.png").exists()
    where = "import retouch; print(retouch.__file__)"
    found = subprocess.run(
        [sys.executable, "-c", where], env=environment, capture_output=True, text=True, check=True
    )
    assert found.stdout.startswith(str(installed))  # the wheel was tested, not this tree


@pytest.mark.slow
def test_the_wheel_holds_every_file_of_the_page(installed: Path) -> None:
    here, there = ROOT / "src/retouch/serve/static", installed / "retouch/serve/static"
    names = {path.relative_to(here) for path in here.rglob("*") if path.is_file()}
    assert {path.relative_to(there) for path in there.rglob("*") if path.is_file()} == names
    assert Path("index.html") in names
