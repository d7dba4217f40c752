"""Several servers share a store: each job is one server's, and a server's death loses and doubles none."""

import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.jobs.drafts import Clock, done, draft, files_of, outcome, png

from retouch.errors import Conflict, OutputInUse
from retouch.jobs.job import JobState
from retouch.jobs.members import Members
from retouch.jobs.sqlite_store import SqliteJobStore
from retouch.jobs.store import JobLimits

PICTURES = (png(b"abc"),)


class Shared:
    """One of the servers of a folder."""

    def __init__(self, folder: Path, limits: JobLimits | None = None) -> None:
        self.members = Members.join(folder)
        self.store = SqliteJobStore.open(folder, limits, members=self.members, now=Clock())

    def die(self) -> None:
        """Leave as a process does that was killed: its locks are free, its files stay."""
        self.members._lock.close()
        self.store.close()


@pytest.fixture
def both(tmp_path: Path) -> Iterator[tuple[Shared, Shared]]:
    pair = Shared(tmp_path), Shared(tmp_path)
    yield pair
    for one in pair:
        one.store.close()


def test_a_job_is_seen_by_all_and_done_by_the_one_that_took_it_in(both: tuple[Shared, Shared]) -> None:
    one, other = both
    job = one.store.create(draft(blobs=PICTURES)).job
    assert other.store.get("ann", job.id) == job
    for change in (
        lambda: other.store.start(job.id),
        lambda: other.store.finish(job.id, outcome(JobState.FAILED)),
        lambda: other.store.requeue(job.id),
        lambda: other.store.weigh(job.id, 1),
    ):
        with pytest.raises(Conflict, match="another server"):
            change()
    one.store.start(job.id)
    one.store.finish(job.id, done(png(b"result", "result/0")))
    assert other.store.blob("ann", job.id, "result/0").data == b"result"


def test_nothing_is_taken_over_from_a_server_that_is_there(both: tuple[Shared, Shared]) -> None:
    one, other = both
    job = one.store.create(draft(blobs=PICTURES)).job
    one.store.start(job.id)
    assert other.store.recover(resume=True) == []
    assert one.store.get("ann", job.id).state == "running"


def test_a_dead_servers_jobs_are_taken_over_by_one_of_the_others(tmp_path: Path) -> None:
    dead, *others = (Shared(tmp_path) for _ in range(5))
    jobs = [dead.store.create(draft(f"owner-{n}", blobs=PICTURES)).job for n in range(8)]
    dead.store.start(jobs[0].id)
    dead.die()
    with ThreadPoolExecutor(len(others)) as pool:
        taken = list(pool.map(lambda one: one.store.recover(resume=True), others))
    assert sorted(job.id for found in taken for job in found) == sorted(job.id for job in jobs)
    for one, found in zip(others, taken, strict=True):
        for job in found:
            one.store.start(job.id)
            one.store.finish(job.id, done())
        one.store.close()


def test_a_server_that_was_taken_for_gone_changes_nothing_any_more(both: tuple[Shared, Shared]) -> None:
    one, other = both
    job = one.store.create(draft(blobs=PICTURES)).job
    one.store.start(job.id)
    one.members._lock.close()  # as when a network's lock is lost
    assert [job.state for job in other.store.recover(resume=True)] == ["queued"]
    with pytest.raises(Conflict, match="another server"):
        one.store.finish(job.id, done(png(b"late", "result/0")))
    other.store.start(job.id)
    other.store.finish(job.id, done(png(b"result", "result/0")))
    assert one.store.blob("ann", job.id, "result/0").data == b"result"


def test_what_an_orderly_stop_puts_back_is_anybodys(both: tuple[Shared, Shared]) -> None:
    one, other = both
    waiting = one.store.create(draft(blobs=PICTURES)).job
    running = one.store.create(draft(blobs=PICTURES)).job
    one.store.start(running.id)
    for job in (waiting, running):
        one.store.requeue(job.id)
    assert [job.id for job in other.store.recover(resume=True)] == [waiting.id, running.id]
    assert one.store.recover(resume=True) == []
    assert other.store.get("ann", running.id).attempts == 0


def test_what_a_client_waited_for_is_not_done_for_nobody(tmp_path: Path) -> None:
    dead, other = Shared(tmp_path), Shared(tmp_path)
    job = dead.store.create(draft(blobs=PICTURES, is_awaited=True)).job
    dead.store.start(job.id)
    dead.die()
    assert [job.state for job in other.store.recover(resume=True)] == ["interrupted"]
    assert files_of(tmp_path) == []
    other.store.close()


def test_a_job_that_ends_its_servers_is_not_begun_for_ever(tmp_path: Path) -> None:
    limits = JobLimits(attempts=2)
    job = None
    for _ in range(3):
        server = Shared(tmp_path, limits)
        [found] = server.store.recover(resume=True) or [None]
        job = found or server.store.create(draft(blobs=PICTURES)).job
        if job.state is JobState.QUEUED:
            server.store.start(job.id)
        server.die()
    assert job is not None
    assert (job.state, job.attempts) == (JobState.INTERRUPTED, 2)


def test_a_cancel_by_way_of_another_server_is_heard_of(both: tuple[Shared, Shared]) -> None:
    one, other = both
    job = one.store.create(draft(blobs=PICTURES)).job
    one.store.start(job.id)
    assert one.store.ended([job.id]) == frozenset()
    assert other.store.cancel("ann", job.id).state == "cancelled"
    assert one.store.ended([job.id]) == {job.id}
    with pytest.raises(Conflict):
        one.store.finish(job.id, done())


def test_one_key_at_two_servers_at_a_time_is_one_job(both: tuple[Shared, Shared]) -> None:
    at_once = threading.Barrier(2)

    def create(server: Shared) -> tuple[str, bool]:
        at_once.wait()
        submission = server.store.create(draft(blobs=PICTURES, key="k", fingerprint="f"))
        return submission.job.id, submission.is_new

    with ThreadPoolExecutor(2) as pool:
        made = list(pool.map(create, both))
    assert len({job_id for job_id, _ in made}) == 1
    assert sorted(is_new for _, is_new in made) == [False, True]


def test_a_start_leaves_the_files_that_others_write_just_now(tmp_path: Path, both: tuple[Shared, Shared]) -> None:
    one, _ = both
    bundle = one.store._bundles.write(PICTURES)
    third = Shared(tmp_path)
    assert files_of(tmp_path) == [bundle.file]
    old = tmp_path / "blobs" / str(bundle.file)
    os.utime(old, (0, 0))
    third.die()
    Shared(tmp_path).store.close()
    assert files_of(tmp_path) == []


def test_finished_jobs_of_other_servers_make_room_too(tmp_path: Path) -> None:
    limits = JobLimits(total_bytes=100)
    one, other = Shared(tmp_path, limits), Shared(tmp_path, limits)
    old = one.store.create(draft()).job
    one.store.start(old.id)
    one.store.finish(old.id, done(png(bytes(90), "result/0")))
    other.store.create(draft(blobs=(png(bytes(50)),)))
    assert one.store.get("ann", old.id).state == "expired"
    for server in (one, other):
        server.store.close()


def test_a_folder_is_shared_by_all_or_by_none(tmp_path: Path) -> None:
    shared = Shared(tmp_path)
    with pytest.raises(OutputInUse, match="several servers"):
        SqliteJobStore.open(tmp_path)
    shared.store.close()
    with SqliteJobStore.open(tmp_path), pytest.raises(OutputInUse):
        Shared(tmp_path)
    Shared(tmp_path).store.close()


def test_servers_that_start_at_a_time_make_one_store(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        servers = list(pool.map(lambda _: Shared(tmp_path), range(8)))
    job = servers[0].store.create(draft()).job
    assert all(one.store.get("ann", job.id) == job for one in servers)
    for one in servers:
        one.store.close()


def test_what_an_only_server_left_is_taken_over(tmp_path: Path) -> None:
    with SqliteJobStore.open(tmp_path) as alone:
        job = alone.create(draft(blobs=PICTURES)).job
        alone.start(job.id)
    server = Shared(tmp_path)
    assert [job.state for job in server.store.recover(resume=True)] == ["queued"]
    server.store.start(job.id)
    server.store.close()
