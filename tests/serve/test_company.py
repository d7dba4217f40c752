"""Servers that share a store answer as one."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.batch.builders import inline_row
from tests.serve.dialects.test_native import JSON, LATER, events_of
from tests.serve.serving import Served, served, until

from retouch.serve.company import merged

SLOW = JSON | {"num_inference_steps": 150}


@pytest.fixture
def both(checkpoint: Path, tmp_path: Path) -> Iterator[tuple[Served, Served]]:
    settings: dict[str, Any] = {"safety": "off", "jobs_folder": tmp_path, "resume_jobs": True, "is_shared": True}
    with served(checkpoint, **settings) as one, served(checkpoint, **settings) as other:
        yield one, other


def take(server: Served, body: dict[str, Any] = SLOW, **headers: str) -> str:
    taken = httpx.post(f"{server.url}/v1/inpaint", json=body, headers=LATER | headers, timeout=60)
    assert taken.status_code == 202, taken.text
    return str(taken.headers["location"])


def state(server: Served, place: str) -> str:
    return str(httpx.get(server.url + place).json()["state"])


def die(server: Served) -> None:
    """Let the others take a server for gone."""
    members = server.service.company._members
    assert members is not None
    members._lock.close()


def test_a_job_is_followed_to_its_end_at_any_server(both: tuple[Served, Served]) -> None:
    one, other = both
    place = take(one)
    with httpx.Client(base_url=other.url, timeout=60) as client:
        told = events_of(client, place)
        assert told[-1][0] == "done"
        assert {name for name, _ in told[:-1]} <= {"queued", "step"}
        assert len(told) > 1  # how far it was, as the other server told
        assert client.get(f"{place}/result/0").headers["content-type"] == "image/png"


def test_a_job_is_cancelled_at_any_server(both: tuple[Served, Served]) -> None:
    one, other = both
    place = take(one)
    until(lambda: state(other, place) == "running")
    assert httpx.delete(other.url + place).json()["state"] == "cancelled"
    until(lambda: one.service.admission.rows == 0, within_s=5)
    assert state(one, place) == "cancelled"


def test_a_key_at_another_server_waits_for_the_same_job(both: tuple[Served, Served]) -> None:
    headers = {"idempotency-key": "k", "accept": "image/png"}

    def ask(server: Served) -> httpx.Response:
        return httpx.post(f"{server.url}/v1/inpaint", json=SLOW, headers=headers, timeout=60)

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(ask, both)
    assert (first.status_code, second.status_code) == (200, 200)
    assert first.headers["location"] == second.headers["location"]
    assert first.content == second.content
    assert len(httpx.get(f"{both[0].url}/v1/jobs").json()["jobs"]) == 1


def test_the_jobs_of_a_server_that_is_gone_are_done_by_the_others(both: tuple[Served, Served]) -> None:
    one, other = both
    place = take(one)
    until(lambda: state(one, place) == "running")
    die(one)
    until(lambda: place.rpartition("/")[2] in other.service.desk._live, within_s=10)
    until(lambda: state(other, place) == "done", within_s=60)
    assert httpx.get(other.url + place).json()["result"]["images"][0]["seed"] == JSON["seed"]


def test_a_client_that_waits_with_a_key_may_come_again_elsewhere(both: tuple[Served, Served]) -> None:
    one, other = both
    headers = {"idempotency-key": "k"}
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(httpx.post, f"{one.url}/v1/inpaint", json=SLOW, headers=headers, timeout=60)
        until(lambda: one.service.admission.rows == 1)
        until(lambda: bool(one.service.desk._live))
        die(one)
        again = httpx.post(f"{other.url}/v1/inpaint", json=SLOW, headers=headers, timeout=60)
        assert again.status_code == 200
        assert again.json()["state"] == "done"
        first.result()
    assert len(httpx.get(f"{other.url}/v1/jobs").json()["jobs"]) == 1


def test_what_an_orderly_stop_leaves_is_done_by_the_others(checkpoint: Path, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"safety": "off", "jobs_folder": tmp_path, "resume_jobs": True, "is_shared": True}
    with served(checkpoint, **settings) as other:
        with served(checkpoint, drain_s=0, **settings) as one:
            place = take(one)
        until(lambda: state(other, place) == "done", within_s=60)


def test_a_replica_that_ends_in_good_order_ends_its_jobs_first(checkpoint: Path, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"safety": "off", "jobs_folder": tmp_path, "resume_jobs": True, "is_shared": True}
    with served(checkpoint, **settings) as one:
        place = take(one)
        until(lambda: state(one, place) == "running")
    with served(checkpoint, **settings) as other:
        assert httpx.get(other.url + place).json()["state"] == "done"


def test_nothing_of_a_shared_folder_is_for_others(checkpoint: Path, tmp_path: Path) -> None:
    folder = tmp_path / "jobs"
    with served(checkpoint, safety="off", jobs_folder=folder, is_shared=True) as one:
        take(one, JSON)
        until(lambda: bool(list((folder / "members").glob("*.metrics"))))
        for file in (folder, *folder.rglob("*")):
            assert file.stat().st_mode & 0o077 == 0, file


def test_a_batch_goes_on_at_another_server(both: tuple[Served, Served]) -> None:
    one, other = both
    # So many that the last are not begun when the first are done, however fast the machine is.
    rows = "".join(json.dumps(inline_row(number)) + "\n" for number in range(100))
    taken = httpx.post(
        f"{one.url}/v1/batches", data={"num_inference_steps": "100"}, files={"input": rows.encode()}, timeout=60
    )
    place = taken.headers["location"]
    until(lambda: httpx.get(other.url + place).json()["rows"]["done"] > 0, within_s=60, every_s=0.05)
    assert httpx.delete(other.url + place).json()["state"] == "cancelled"
    until(lambda: one.service.batches._live is None, within_s=10)


def test_a_file_that_is_cut_short_ends_no_beat(checkpoint: Path, tmp_path: Path) -> None:
    with served(checkpoint, safety="off", jobs_folder=tmp_path, is_shared=True) as one:
        company = one.service.company
        (tmp_path / "members" / "feed.progress").touch()
        for _ in range(2):
            before = company.progress
            until(lambda before=before: company.progress is not before)


def test_metrics_are_of_all_servers_by_a_label(both: tuple[Served, Served]) -> None:
    one, other = both
    until(lambda: httpx.get(f"{one.url}/metrics").text.count("retouch_ready{") == 2, within_s=10)
    take(other, JSON)
    until(lambda: 'retouch_queue_rows_max{replica="' in httpx.get(f"{one.url}/metrics").text)


def test_merged_metrics_keep_every_sample() -> None:
    text = b'# HELP things_total Things.\n# TYPE things_total counter\nthings_total{kind="a"} 2.0\n'
    [family] = text_string_to_metric_families(merged({"one": text, "two": text}).decode())
    assert [(sample.name, sample.labels, sample.value) for sample in family.samples] == [
        ("things_total", {"kind": "a", "replica": "one"}, 2.0),
        ("things_total", {"kind": "a", "replica": "two"}, 2.0),
    ]


def test_one_of_several_does_not_change_its_weights_alone(both: tuple[Served, Served]) -> None:
    answer = httpx.post(f"{both[0].url}/v1/models/reload")
    assert answer.status_code == 409
    assert answer.json()["error"]["code"] == "conflict"


def test_below_a_path_clients_are_told_of_that_path(checkpoint: Path) -> None:
    with served(checkpoint, safety="off", root="/models/other") as running:
        assert take(running, JSON).startswith("/models/other/v1/jobs/")
