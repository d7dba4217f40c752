"""The platforms that packages are for, each in an environment of its own: their pins exclude ours."""

import os
import socket
import subprocess
import urllib.error
import urllib.request
import venv
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.serve.serving import until

PLATFORMS = {
    "mlflow": ["mlflow==3.17.2"],
    "azure": ["azure-ai-ml==1.35.2", "azureml-inference-server-http==1.5.1", "pandas"],
}
"""What each environment holds. What it lacks of ours it takes from this one; the code comes from the package."""


def environment(name: str, folder: Path) -> Path:
    """Return the programs' folder of a platform's environment: the one that `RETOUCH_TEST_<NAME>` names.

    With `new` it is made now, in one to two minutes and up to 900 MB. Where it cannot be made, and where nothing
    is named, the test is skipped.
    """
    variable = f"RETOUCH_TEST_{name.upper()}"
    given = os.environ.get(variable)
    if not given:
        pytest.skip(f"{variable} names no environment with {name}, and is not `new`")
    home = folder / name if given == "new" else Path(given)
    if given == "new":
        venv.create(home, with_pip=True)
        install = [home / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check", *PLATFORMS[name]]
        done = subprocess.run(install, check=False, capture_output=True, text=True, timeout=280)
        if done.returncode != 0:
            pytest.skip(f"{' '.join(PLATFORMS[name])} cannot be installed: {done.stderr.strip()[-200:]}")
    ours = Path(pytest.__file__).parents[1]
    [theirs] = home.glob("lib/python*/site-packages")
    # Behind its own packages; a .pth of ours is not read there, so that no retouch but the package's is found.
    (theirs / "behind.pth").write_text(f"{ours}\n")
    return home / "bin"


def variables(**more: str) -> dict[str, str]:
    """Return an environment without anything of ours, with more in it."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("RETOUCH_", "PYTHON"))}
    return kept | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "PYTHONDONTWRITEBYTECODE": "1"} | more


def run(command: list[str | Path], env: Mapping[str, str], cwd: Path) -> str:
    """Run a program to its end; return what it printed."""
    done = subprocess.run(command, check=False, env=env, cwd=cwd, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@contextmanager
def serving(command: list[str | Path], health: str, env: Mapping[str, str], cwd: Path) -> Iterator[str]:
    """Run a server that takes `--port`, until it is healthy; yield its address."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    log = (cwd / f"server-{port}.log").open("wb")
    process = subprocess.Popen([*command, "--port", str(port)], env=env, cwd=cwd, stdout=log, stderr=log)
    url = f"http://127.0.0.1:{port}"

    def is_healthy() -> bool:
        assert process.poll() is None, Path(log.name).read_text()
        try:
            with urllib.request.urlopen(f"{url}{health}", timeout=5) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False

    try:
        until(is_healthy, within_s=120)
        yield url
    finally:
        process.terminate()
        process.wait(30)
        log.close()
