"""The server runs as the image and compose.yaml run it: as nobody, without capabilities, writing to /tmp alone."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from tests.deploy.dockerfiles import ROOT, stages_of
from tests.serve.servers import free_port
from tests.serve.serving import until
from tests.serve.test_load import EDITS, FILES, form

CLOSED = """
set -e
mount -o remount,bind,ro /
mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs /tmp
install -d -o 10001 -g 10001 -m 700 /tmp/jobs
exec setpriv --reuid=10001 --regid=10001 --clear-groups --no-new-privs --bounding-set=-all "$@"
"""
KEY = "a-key-that-nobody-guesses"


def can_close() -> bool:
    """Whether this user may do to a process what a container's runtime does."""
    if os.geteuid() != 0 or not (shutil.which("unshare") and shutil.which("setpriv")):
        return False
    command = ["unshare", "--mount", "mount", "-o", "remount,bind,ro", "/"]
    tried = subprocess.run(command, capture_output=True, check=False)
    return tried.returncode == 0


@pytest.mark.slow
def test_it_serves_as_nobody_on_a_file_system_that_is_read_only(tmp_path: Path) -> None:
    if not can_close():
        pytest.skip("needs root, unshare and setpriv")
    port = free_port()
    image = stages_of(ROOT / "Dockerfile")[-1].environment()
    told = {name: value for name, value in image.items() if name != "PATH"} | {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT / "src"),
        "RETOUCH_JOBS_FOLDER": "/tmp/jobs",
        "RETOUCH_PORT": str(port),
        "RETOUCH_API_KEYS": KEY,
        "OMP_NUM_THREADS": "1",
    }
    command = ["unshare", "--mount", "sh", "-c", CLOSED, "_", sys.executable, "-m", "retouch.cli", "serve"]
    log = tmp_path / "log"
    with log.open("w") as file, subprocess.Popen([*command, "--safety", "off"], stderr=file, env=told) as server:
        url, mine = f"http://127.0.0.1:{port}", {"x-api-key": KEY}

        def is_ready() -> bool:
            assert server.poll() is None, log.read_text()
            try:
                return httpx.get(f"{url}/health/ready").status_code == 200
            except httpx.TransportError:
                return False

        try:
            until(is_ready, within_s=120, every_s=0.2)
            status = Path(f"/proc/{server.pid}/status").read_text()
            assert "Uid:\t10001\t10001\t10001\t10001" in status
            assert "CapEff:\t0000000000000000" in status
            assert "NoNewPrivs:\t1" in status
            assert httpx.post(url + EDITS, data=form(2), files=FILES, timeout=60).status_code == 401
            answer = httpx.post(url + EDITS, data=form(2), files=FILES, headers=mine, timeout=60)
            assert answer.status_code == 200, answer.text
            server.send_signal(signal.SIGTERM)
            assert server.wait(40) == 0
        finally:
            server.kill()
