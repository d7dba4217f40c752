"""Replicas on a local cluster: one killed under load, all changed under load, and an end in good order."""

import shutil
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.serve.dialects.test_native import JSON, LATER
from tests.serve.replicas.running import Running, replicas
from tests.serve.serving import until
from tests.serve.test_load import EDITS, FILES, form

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

_AGAIN = (503, 429)
"""What a client may send again, as it is told."""


@pytest.fixture(scope="module")
def two(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    pytest.importorskip("ray.serve")
    with replicas(checkpoint, tmp_path_factory.mktemp("jobs"), "2") as running:
        until(lambda: len(running.replicas()) == 2, within_s=300, every_s=0.2)
        yield running


class Load:
    """Clients that go on until they are stopped; each does as it is told: sends again what may be sent again."""

    def __init__(self, url: str, clients: int = 6) -> None:
        self._url = url
        self._stop = threading.Event()
        self._pool = ThreadPoolExecutor(clients)
        self._clients = [self._pool.submit(self._go_on, number) for number in range(clients)]
        self.statuses: Counter[int] = Counter()
        self.waited = self.edited = 0
        self.accepted: list[str] = []

    def end(self) -> None:
        self._stop.set()
        for client in self._clients:
            client.result(120)
        self._pool.shutdown()

    def _go_on(self, number: int) -> None:
        body = JSON | {"num_inference_steps": 30}
        with httpx.Client(base_url=self._url, timeout=120) as client:
            count = 0
            while not self._stop.is_set():
                key = {"idempotency-key": f"{number}-{count}"}
                count += 1
                match number % 3:
                    case 0:
                        answer = self._asked(client, "/v1/inpaint", json=body, headers=key)
                        assert answer.json()["state"] == "done", answer.text
                        self.waited += 1
                    case 1:
                        answer = self._asked(client, "/v1/inpaint", json=body, headers=key | LATER)
                        self.accepted.append(answer.headers["location"])
                        self._stop.wait(1.0)
                    case _:
                        self._asked(client, EDITS, data=form(30), files=FILES)
                        self.edited += 1

    def _asked(self, client: httpx.Client, path: str, **request: Any) -> httpx.Response:
        while True:
            answer = client.post(path, **request)
            self.statuses[answer.status_code] += 1
            if answer.status_code not in _AGAIN:
                assert answer.status_code in (200, 202), (answer.status_code, answer.text)
                return answer
            time.sleep(min(1.0, float(answer.headers["retry-after"])))


def all_jobs(url: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    after = None
    with httpx.Client(base_url=url, timeout=60) as client:
        while True:
            page = client.get("/v1/jobs", params={"limit": 100} | ({"after": after} if after else {})).json()
            found += page["jobs"]
            after = page["next_after"]
            if after is None:
                return found


def check_none_lost_or_doubled(url: str, load: Load) -> None:
    """Every job that was accepted or waited for is done, once."""
    until(lambda: all(job["state"] == "done" for job in all_jobs(url)), within_s=300, every_s=0.5)
    jobs = all_jobs(url)
    assert {f"/v1/jobs/{job['id']}" for job in jobs} >= set(load.accepted)
    assert len(jobs) == load.waited + len(load.accepted)  # a key is a job, however often it was sent


def test_a_replica_that_is_killed_under_load_loses_and_doubles_nothing(two: Running) -> None:
    before = {process.pid for process in two.replicas()}
    load = Load(two.url)
    until(lambda: load.waited > 2 and load.edited > 2 and len(load.accepted) > 3, within_s=300, every_s=0.1)
    two.replicas()[0].send_signal(signal.SIGKILL)
    until(lambda: len({one.pid for one in two.replicas()} - before) == 1, within_s=300, every_s=0.2)
    done = load.waited
    until(lambda: load.waited > done + 2, within_s=300, every_s=0.1)
    load.end()
    check_none_lost_or_doubled(two.url, load)
    print(f"\nkilled 1 of 2 replicas: {load.waited} waited for, {len(load.accepted)} jobs, {load.edited} edits;")
    print(f"0 lost, 0 doubled; answers by status: {dict(load.statuses)}")
    assert load.statuses[500] == 0


def test_all_replicas_are_changed_under_load_without_an_interruption(two: Running) -> None:
    before = {process.pid for process in two.replicas()}
    load = Load(two.url)
    until(lambda: load.waited > 2 and load.edited > 2, within_s=300, every_s=0.1)
    two.process.send_signal(signal.SIGHUP)
    until(lambda: not before & {one.pid for one in two.replicas()}, within_s=300, every_s=0.2)
    done = load.waited
    until(lambda: load.waited > done + 2, within_s=300, every_s=0.1)
    load.end()
    until(lambda: all(job["state"] == "done" for job in all_jobs(two.url)), within_s=300, every_s=0.5)
    print(f"\nchanged 2 of 2 replicas: answers by status: {dict(load.statuses)}")
    assert set(load.statuses) <= {200, 202}


def test_metrics_and_health_are_those_of_docs_operations(two: Running) -> None:
    until(lambda: httpx.get(f"{two.url}/metrics", timeout=20).text.count("retouch_ready{") == 2, within_s=60)
    assert httpx.get(f"{two.url}/health/live", timeout=20).json() == {"live": True}
    assert httpx.post(f"{two.url}/v1/models/reload", timeout=20).status_code == 409
    refused = httpx.get(f"{two.url}/v1/jobs", headers={"host": "evil.example"}, timeout=20)
    assert refused.status_code == 403


def test_a_queue_that_grows_starts_another_replica(checkpoint: Path, tmp_path: Path) -> None:
    pytest.importorskip("ray.serve")
    with replicas(checkpoint, tmp_path, "1-2", "--replica-rows", "4") as running:
        assert len(running.replicas()) == 1
        slow = JSON | {"num_inference_steps": 150, "num_images_per_prompt": 4}
        stop = threading.Event()

        def keep_busy() -> None:
            while not stop.is_set():
                httpx.post(f"{running.url}/v1/inpaint", json=slow, headers=LATER, timeout=60)
                stop.wait(0.2)

        with ThreadPoolExecutor(1) as pool:
            pool.submit(keep_busy)
            try:
                until(lambda: len(running.replicas()) == 2, within_s=300, every_s=0.5)
            finally:
                stop.set()


def test_weights_that_cannot_be_used_do_not_end_the_service(checkpoint: Path, tmp_path: Path) -> None:
    pytest.importorskip("ray.serve")
    own = shutil.copytree(checkpoint, tmp_path / "own")
    with replicas(own, tmp_path / "jobs", "2") as running:
        until(lambda: len(running.replicas()) == 2, within_s=300, every_s=0.2)
        [weights] = (own / "unet").glob("*.safetensors")
        weights.write_bytes(weights.read_bytes()[:100])
        running.process.send_signal(signal.SIGHUP)
        statuses: Counter[int] = Counter()

        def has_failed() -> bool:
            statuses[httpx.post(running.url + EDITS, data=form(2), files=FILES, timeout=60).status_code] += 1
            return "were not changed" in running.log.read_text()

        until(has_failed, within_s=300, every_s=0.5)
        assert statuses.keys() == {200}
        assert httpx.post(running.url + EDITS, data=form(2), files=FILES, timeout=60).status_code == 200
        assert running.process.poll() is None


def test_another_model_has_its_path_and_may_have_no_replica(checkpoint: Path, tmp_path: Path) -> None:
    pytest.importorskip("ray.serve")
    with (
        replicas(checkpoint, tmp_path, "0-1", "--also", f"tiny={checkpoint}") as running,
        httpx.Client(base_url=running.url, timeout=120) as client,
    ):
        assert len(running.replicas()) == 1  # of the model that was asked whether it is ready
        taken = client.post("/models/tiny/v1/inpaint", json=JSON, headers=LATER)
        assert taken.headers["location"].startswith("/models/tiny/v1/jobs/")
        assert len(running.replicas()) == 2
        until(lambda: client.get(taken.headers["location"]).json()["state"] == "done", every_s=0.2)
        assert client.get("/v1/jobs").json()["jobs"] == []


def test_sigterm_lets_work_end_refuses_new_work_and_exits_0(checkpoint: Path, tmp_path: Path) -> None:
    pytest.importorskip("ray.serve")
    with replicas(checkpoint, tmp_path, "1") as running, ThreadPoolExecutor(8) as pool:
        many = form(150, n=4)
        asked = [
            pool.submit(httpx.post, running.url + EDITS, data=many, files=FILES, timeout=120) for _ in range(8)
        ]
        until(lambda: "retouch_queue_rows 32.0" in metrics_without_labels(running.url), within_s=60, every_s=0.05)
        running.process.send_signal(signal.SIGTERM)
        until(
            lambda: httpx.get(f"{running.url}/health/ready", timeout=20).status_code == 503,
            within_s=60,
            every_s=0.1,
        )
        late = httpx.post(running.url + EDITS, data=form(1), files=FILES, timeout=20)
        assert late.status_code == 503
        assert int(late.headers["retry-after"]) >= 1
        assert {one.result().status_code for one in asked} == {200}
        assert running.process.wait(90) == 0


def metrics_without_labels(url: str) -> str:
    lines = httpx.get(f"{url}/metrics", timeout=20).text.splitlines()
    return "\n".join(f"{line.partition('{')[0]} {line.rpartition(' ')[2]}" for line in lines if "{" in line)
