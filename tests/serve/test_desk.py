"""The desk of jobs: clients that leave, keys that come again, queues that are full, disks that fail."""

import http.client
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.jobs.drafts import failing_disk
from tests.memory import grows_less_than, needs_proc
from tests.serve.pictures import hole, photo, png, text
from tests.serve.serving import Served, served, until

from retouch.inpainter import Inpainter
from retouch.jobs.job import Blob, JobDraft, JobKind, JobState, Outcome
from retouch.jobs.sqlite_store import SqliteJobStore
from retouch.request import InpaintRequest
from retouch.serve import desk
from retouch.serve.order import Order

JSON = {
    "prompt": "a cat",
    "num_inference_steps": 1,
    "image": text(png(photo())),
    "mask_image": text(png(hole())),
    "safety": "off",
}
LATER = {"prefer": "respond-async"}
OWNER = "anonymous"


@contextmanager
def opened(checkpoint: Path, **settings: Any) -> Iterator[tuple[Served, httpx.Client]]:
    with (
        served(checkpoint, allow_safety_off=True, **settings) as running,
        httpx.Client(base_url=running.url, timeout=60) as client,
    ):
        yield running, client


@contextmanager
def held(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let no work come to its engine meanwhile."""
    go_on, sound = threading.Event(), Inpainter.submit

    def submit(inpainter: Inpainter, request: InpaintRequest) -> Any:
        go_on.wait(20)
        return sound(inpainter, request)

    with monkeypatch.context() as patches:
        patches.setattr(Inpainter, "submit", submit)
        try:
            yield
        finally:
            go_on.set()


def ask(client: httpx.Client, key: str | None = None, *, headers: Any = None, **fields: Any) -> httpx.Response:
    named = {} if key is None else {"idempotency-key": key}
    return client.post("/v1/inpaint", json=JSON | fields, headers=named | (headers or {}))


def left(client: httpx.Client, headers: dict[str, str]) -> str:
    """Ask as another client that hangs up once its job is there; return the job's id."""
    other = http.client.HTTPConnection(client.base_url.host, client.base_url.port)
    other.request("POST", "/v1/inpaint", json.dumps(JSON), headers | {"content-type": "application/json"})
    until(lambda: bool(jobs_of(client)))
    other.close()
    job_id: str = jobs_of(client)[0]["id"]
    return job_id


def jobs_of(client: httpx.Client) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = client.get("/v1/jobs").json()["jobs"]
    return found


def leave_waiting(folder: Path, *rows: int) -> list[str]:
    """Keep jobs of so many pictures, as a server leaves them that was killed before it began."""
    with SqliteJobStore.open(folder) as store:
        return [store.create(draft_of(num_images_per_prompt=count)).job.id for count in rows]


def draft_of(**fields: Any) -> JobDraft:
    request = InpaintRequest("a cat", png(photo()), png(hole()), num_inference_steps=1, safety="off", **fields)
    return Order(request).draft(OWNER, key=None)


def ended(client: httpx.Client, job_id: str) -> dict[str, Any]:
    views: list[dict[str, Any]] = []

    def has_ended() -> bool:
        views.append(client.get(f"/v1/jobs/{job_id}").json())
        return views[-1]["state"] not in ("queued", "running")

    until(has_ended)
    return views[-1]


# Keys


def test_a_job_with_a_key_outlives_its_client(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with opened(checkpoint) as (_, client):
        with held(monkeypatch):
            job = left(client, {"idempotency-key": "once"})
        again = ask(client, "once")
        assert (again.status_code, again.json()["id"]) == (200, job)


def test_a_job_without_a_key_ends_with_its_client(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with opened(checkpoint) as (_, client), held(monkeypatch):
        job = left(client, {})
        assert ended(client, job)["state"] == "cancelled"


def test_a_key_whose_job_was_interrupted_makes_another(checkpoint: Path, tmp_path: Path) -> None:
    with SqliteJobStore.open(tmp_path) as store:
        cut = store.create(replace(draft_of(), idempotency_key="once")).job.id
    with opened(checkpoint, jobs_folder=tmp_path, safety="off") as (_, client):
        assert client.get(f"/v1/jobs/{cut}").json()["state"] == "interrupted"
        again = ask(client, "once")
        assert again.status_code == 200
        assert again.json()["id"] != cut


def test_a_key_whose_job_is_expired_is_gone(checkpoint: Path) -> None:
    with opened(checkpoint, job_ttl_s=0.01) as (running, client):
        assert ask(client, "once").status_code == 200
        until(lambda: bool(running.service.desk._store.sweep().expired))
        again = ask(client, "once")
        assert (again.status_code, again.json()["error"]["code"]) == (410, "gone")


# Deadlines


def test_who_waits_without_a_key_gets_deadline_s(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with opened(checkpoint, deadline_s=0.3) as (_, client), held(monkeypatch):
        late = ask(client)
        assert (late.status_code, late.json()["error"]["code"]) == (504, "deadline_exceeded")
        [job] = jobs_of(client)
        assert (job["state"], job["error"]["code"]) == ("failed", "deadline_exceeded")


def test_who_waits_with_a_key_comes_back_after_deadline_s(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(checkpoint, deadline_s=0.5) as (_, client):
        with held(monkeypatch):
            assert ask(client, "once").status_code == 504
            [job] = jobs_of(client)
            assert job["state"] in ("queued", "running")
        assert ended(client, job["id"])["state"] == "done"
        assert ask(client, "once").json()["id"] == job["id"]


# Room


@pytest.mark.parametrize("headers", [{}, LATER])
def test_a_job_is_taken_in_with_all_its_pictures_or_not_at_all(checkpoint: Path, headers: dict[str, str]) -> None:
    with opened(checkpoint, max_queued_rows=4) as (running, client):
        with running.service.admission.enter(None, rows=2):
            refused = ask(client, "once", headers=headers, num_images_per_prompt=3)
            assert refused.status_code == 429
            assert refused.headers["retry-after"]
            assert jobs_of(client) == []
        taken = ask(client, "once", headers=headers, num_images_per_prompt=3)
        assert taken.status_code == (202 if headers else 200)
        assert ended(client, taken.json()["id"])["state"] == "done"


def test_a_key_finds_its_job_where_there_is_no_room_for_another(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(checkpoint, max_queued_rows=4) as (_, client), held(monkeypatch):
        first, again = (ask(client, "once", headers=LATER, num_images_per_prompt=3) for _ in range(2))
        assert (again.status_code, again.json()["id"]) == (202, first.json()["id"])


def test_jobs_that_are_begun_again_wait_for_room(checkpoint: Path, tmp_path: Path) -> None:
    jobs = leave_waiting(tmp_path, 3, 3, 3)
    with opened(checkpoint, jobs_folder=tmp_path, resume_jobs=True, max_queued_rows=4) as (_, client):
        assert [ended(client, job)["state"] for job in jobs] == ["done"] * 3


def test_a_job_that_never_has_room_again_is_ended(checkpoint: Path, tmp_path: Path) -> None:
    [job] = leave_waiting(tmp_path, 3)
    with opened(checkpoint, jobs_folder=tmp_path, resume_jobs=True, max_queued_rows=2) as (_, client):
        assert ended(client, job)["error"]["code"] == "queue_full"


def test_jobs_that_cannot_be_begun_again_are_ended_and_hold_no_room(checkpoint: Path, tmp_path: Path) -> None:
    [damaged] = leave_waiting(tmp_path, 1)
    [file] = (tmp_path / "blobs").iterdir()
    file.write_bytes(file.read_bytes()[:50])
    with SqliteJobStore.open(tmp_path) as store:
        draft = draft_of()
        strange = store.create(replace(draft, request={**draft.request, "a_field_of_another_version": 1})).job.id
    with opened(checkpoint, jobs_folder=tmp_path, resume_jobs=True) as (running, client):
        assert ended(client, damaged)["error"]["code"] == "storage_failed"
        assert ended(client, strange)["error"]["code"] == "internal"
        assert running.service.admission.rows == 0


# Disks


@pytest.mark.parametrize("headers", [{}, LATER])
def test_a_picture_is_kept_as_soon_as_the_disk_takes_it(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch, headers: dict[str, str]
) -> None:
    monkeypatch.setattr(desk, "_AGAIN_S", 0.01)
    with opened(checkpoint) as (_, client):
        failing_disk(monkeypatch, "finish", times=4)  # twice neither the picture nor that it is lost
        told = ask(client, "once", headers=headers)
        assert told.status_code == (202 if headers else 507)
        [job] = jobs_of(client)
        assert ended(client, job["id"])["state"] == "done"
        assert ask(client, "once").json()["id"] == job["id"]


def test_a_job_whose_picture_never_fits_is_ended(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk, "_AGAIN_S", 0.01)
    with opened(checkpoint) as (_, client):
        failing_disk(monkeypatch, "finish", times=5)
        assert ask(client, "once").status_code == 507
        [job] = jobs_of(client)
        assert ended(client, job["id"])["error"]["code"] == "storage_failed"
        assert ask(client, "once").json()["id"] != job["id"]


def test_a_disk_that_fails_holds_up_no_end_of_the_server(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(checkpoint, jobs_folder=tmp_path) as (running, client):
        failing_disk(monkeypatch, "finish")
        job = ask(client, headers=LATER).json()["id"]
        until(lambda: running.service.desk.live(job) is None)
    monkeypatch.undo()
    with opened(checkpoint, jobs_folder=tmp_path) as (_, client):
        assert client.get(f"/v1/jobs/{job}").json()["state"] == "interrupted"


@needs_proc
def test_a_picture_is_in_memory_by_pieces_however_slow_its_clients_are(checkpoint: Path) -> None:
    picture, readers = Blob("result/0", "image/png", bytes(20 << 20)), []
    with opened(checkpoint) as (running, client):
        store = running.service.desk._store
        job = store.create(JobDraft(OWNER, JobKind.INPAINT, {"prompt": ""})).job.id
        store.start(job)
        store.finish(job, Outcome(JobState.DONE, {"images": [{"seed": 1}]}, (picture,)))
        place = f"/v1/jobs/{job}/result/0"
        assert client.get(place).content == picture.data
        with grows_less_than(60):
            for _ in range(8):
                reader = socket.socket()
                reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
                reader.connect(("127.0.0.1", client.base_url.port))
                reader.sendall(f"GET {place} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
                assert reader.recv(1 << 10).startswith(b"HTTP/1.1 200")
                readers.append(reader)
        for reader in readers:
            reader.close()
