"""The process: how it starts, drains and ends."""

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from tests.batch.builders import inline_row
from tests.serve.servers import free_port
from tests.serve.serving import until
from tests.serve.test_load import EDITS, FILES, form

LOOKING = httpx.Client(timeout=60)
"""One client for many looks: to make one reads the certificates of the world, and takes as long as ten looks."""


@contextmanager
def process(checkpoint: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run `retouch serve`; yield the process and its address once it is ready."""
    port = free_port()
    command = [sys.executable, "-m", "retouch.cli", "serve", "--model", str(checkpoint), "--port", str(port)]
    url = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryFile("w+") as log:  # a pipe that nobody reads would hold the server up when it is full
        started = subprocess.Popen(
            [*command, "--safety", "off", *options], stderr=log, text=True, env={**os.environ}
        )

        def is_ready() -> bool:
            assert started.poll() is None, log.seek(0) or log.read()
            try:
                return LOOKING.get(f"{url}/health/ready").status_code == 200
            except httpx.TransportError:
                return False

        try:
            until(is_ready, within_s=90, every_s=0.1)
            yield started, url
        finally:
            started.kill()
            started.wait()


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


def look(url: str) -> httpx.Response:
    return LOOKING.get(url)


def batch_of_rows(url: str, count: int) -> str:
    rows = "".join(json.dumps(inline_row(number)) + "\n" for number in range(count))
    sent = {"input": rows.encode()}
    answer = httpx.post(f"{url}/v1/batches", data={"num_inference_steps": "30"}, files=sent, timeout=60)
    assert answer.status_code == 202, answer.text
    return str(answer.headers["location"])


def done_rows(url: str, place: str) -> int:
    found: int = look(url + place).json()["rows"]["done"]
    return found


def hashes(url: str, place: str) -> dict[int, str]:
    lines = map(json.loads, look(f"{url}{place}/results").text.splitlines())
    files = {line["row"]: line["file"] for line in lines}
    return {
        row: hashlib.sha256(look(f"{url}{place}/files/{name}").content).hexdigest() for row, name in files.items()
    }


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_batch_goes_on_where_it_was_after_sigkill_and_after_sigterm(checkpoint: Path, tmp_path: Path) -> None:
    count, draw = 40, random.Random(5)
    options = ["--jobs-folder", str(tmp_path), "--rows-per-call", "8"]
    with process(checkpoint, *options) as (running, url):
        undisturbed = batch_of_rows(url, count)
        until(lambda: look(url + undisturbed).json()["state"] == "done", within_s=240, every_s=0.1)
        expected = hashes(url, undisturbed)
        place = batch_of_rows(url, count)
        until(lambda: done_rows(url, place) > 0, within_s=60, every_s=0.05)
        running.kill()
        running.wait()
    ends = [signal.SIGTERM, signal.SIGKILL]
    had = 0
    for end in ends:
        with process(checkpoint, *options) as (running, url):
            assert look(url + place).json()["state"] in ("queued", "running")
            assert done_rows(url, place) >= had  # nothing that was counted is lost
            goal = had + draw.randint(1, 6)
            until(lambda url=url, goal=goal: done_rows(url, place) >= goal, within_s=120, every_s=0.05)
            had = done_rows(url, place)
            running.send_signal(end)
            assert running.wait(40) == (0 if end == signal.SIGTERM else -signal.SIGKILL)
    with process(checkpoint, *options) as (_, url):
        until(lambda: look(url + place).json()["state"] == "done", within_s=240, every_s=0.1)
        assert look(url + place).json()["rows"] == {"total": count, "done": count, "failed": 0, "blocked": 0}
        assert hashes(url, place) == expected
    assert not list(tmp_path.rglob("*.tmp"))


@pytest.mark.slow
def test_a_batch_does_not_hold_up_the_end_of_the_server(checkpoint: Path, tmp_path: Path) -> None:
    with process(checkpoint, "--jobs-folder", str(tmp_path)) as (running, url):
        place = batch_of_rows(url, 400)
        until(lambda: look(url + place).json()["state"] == "running")
        start = time.monotonic()
        running.send_signal(signal.SIGTERM)
        assert running.wait(40) == 0
        assert time.monotonic() - start < 10
