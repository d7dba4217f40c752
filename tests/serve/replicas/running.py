"""`retouch serve --ray` on a cluster of this machine alone, and its replicas' processes."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
from tests.serve.servers import free_port
from tests.serve.serving import until

ROOT = Path(__file__).parents[3]


@dataclass(frozen=True)
class Running:
    """The command, where it serves, and what it logs."""

    process: "subprocess.Popen[str]"
    url: str
    log: Path

    def replicas(self) -> list[psutil.Process]:
        """The processes of its replicas."""
        found = []
        for process in psutil.Process(self.process.pid).children(recursive=True):
            try:
                if any("ServeReplica:retouch" in word for word in process.cmdline()):
                    found.append(process)
            except psutil.NoSuchProcess:
                continue
        return found


@contextmanager
def replicas(checkpoint: Path | None, jobs: Path, count: str, *options: str) -> Iterator[Running]:
    """Serve a checkpoint, or the embedded model, on so many replicas of one core; ready when this gives it."""
    port = free_port()
    command = [sys.executable, "-m", "retouch.cli", "serve", "--ray", "local", "--replicas", count]
    chosen = ["--port", str(port), "--jobs-folder", str(jobs), "--threads", "1"]
    if checkpoint is not None:
        chosen += ["--model", str(checkpoint)]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"}
    with tempfile.NamedTemporaryFile("w+") as log:
        started = subprocess.Popen(
            [*command, *chosen, "--safety", "off", *options], stdout=log, stderr=log, text=True, env=environment
        )

        def is_ready() -> bool:
            assert started.poll() is None, log.seek(0) or log.read()
            try:
                return httpx.get(f"http://127.0.0.1:{port}/health/ready", timeout=20).status_code == 200
            except httpx.TransportError:
                return False

        try:
            until(is_ready, within_s=400, every_s=0.3)
            yield Running(started, f"http://127.0.0.1:{port}", Path(log.name))
        finally:
            started.terminate()
            try:
                started.wait(200)
            finally:
                started.kill()
