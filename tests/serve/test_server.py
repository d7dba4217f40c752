"""The process: how it starts, drains and ends."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from tests.serve.serving import until
from tests.serve.test_load import EDITS, FILES, form


@contextmanager
def process(checkpoint: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run `retouch serve`; yield the process and its address once it is ready."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "retouch.cli", "serve", "--model", str(checkpoint), "--port", str(port)]
    started = subprocess.Popen(
        [*command, "--safety", "off", *options], stderr=subprocess.PIPE, text=True, env={**os.environ}
    )
    url = f"http://127.0.0.1:{port}"

    def is_ready() -> bool:
        assert started.poll() is None, started.stderr and started.stderr.read()
        try:
            return httpx.get(f"{url}/health/ready").status_code == 200
        except httpx.TransportError:
            return False

    try:
        until(is_ready, within_s=90)
        yield started, url
    finally:
        started.kill()
        started.communicate()


def ask_beside(url: str, steps: int, answers: list[int]) -> threading.Thread:
    def ask() -> None:
        try:
            answers.append(httpx.post(url + EDITS, data=form(steps), files=FILES, timeout=60).status_code)
        except httpx.TransportError:
            answers.append(0)

    asking = threading.Thread(target=ask)
    asking.start()
    return asking


def rows(url: str) -> float:
    text = httpx.get(f"{url}/metrics").text
    return float(next(line.split()[1] for line in text.splitlines() if line.startswith("retouch_queue_rows ")))


@pytest.mark.slow
def test_sigterm_lets_work_end_refuses_new_work_and_exits_0(checkpoint: Path) -> None:
    with process(checkpoint) as (running, url):
        answers: list[int] = []
        asking = ask_beside(url, 150, answers)
        until(lambda: rows(url) == 1)
        running.send_signal(signal.SIGTERM)
        until(lambda: httpx.get(f"{url}/health/ready").status_code == 503)
        late = httpx.post(url + EDITS, data=form(1), files=FILES)
        assert late.status_code == 503
        assert int(late.headers["retry-after"]) >= 1
        assert httpx.get(f"{url}/health/live").status_code == 200
        assert running.wait(40) == 0
        asking.join()
        assert answers == [200]


@pytest.mark.slow
def test_what_the_grace_time_does_not_suffice_for_is_told_so(checkpoint: Path) -> None:
    with process(checkpoint, "--limit", "drain_s=0") as (running, url):
        answers: list[int] = []
        asking = ask_beside(url, 150, answers)
        until(lambda: rows(url) == 1)
        running.send_signal(signal.SIGTERM)
        assert running.wait(40) == 0
        asking.join()
        assert answers == [503]


@pytest.mark.slow
def test_a_second_sigterm_ends_it_now(checkpoint: Path) -> None:
    with process(checkpoint) as (running, url):
        asking = ask_beside(url, 150, answers := [])
        until(lambda: rows(url) == 1)
        running.send_signal(signal.SIGTERM)
        until(lambda: httpx.get(f"{url}/health/ready").status_code == 503)
        running.send_signal(signal.SIGTERM)
        start = time.monotonic()
        assert running.wait(20) == 0
        assert time.monotonic() - start < 10
        asking.join()
        assert answers in ([503], [0])


@pytest.mark.slow
def test_sighup_loads_the_weights_again_beside_running_work(checkpoint: Path) -> None:
    with process(checkpoint) as (running, url):
        asking = ask_beside(url, 150, answers := [])
        until(lambda: rows(url) == 1)
        running.send_signal(signal.SIGHUP)
        asking.join()
        assert answers == [200]
        assert httpx.post(url + EDITS, data=form(2), files=FILES, timeout=60).status_code == 200
        assert running.poll() is None


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "word"),
    [
        (["--host", "0.0.0.0"], "keys"),
        (["--limit", "queue=3"], "--limit"),
        (["--limit", "max_queued_rows=0"], "max_queued_rows"),
        (["--api-keys-file", "/nonexistent"], "keys"),
        (["--model", "/nonexistent"], "nonexistent"),
    ],
)
def test_a_wrong_setting_never_starts_half_a_server(options: list[str], word: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "retouch.cli", "serve", "--check", *options],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert word in done.stderr


@pytest.mark.slow
def test_check_starts_nothing(checkpoint: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "retouch.cli", "serve", "--check", "--model", str(checkpoint)],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0
    assert "in order" in done.stderr
