"""What the protocol promises, of the store in SQLite."""

import re
import sqlite3
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from tests.jobs.drafts import Clock, done, draft, files_of, outcome, png

from retouch.errors import (
    Conflict,
    Draining,
    Gone,
    InvalidField,
    NotFound,
    OutputInUse,
    QueueFull,
    RateLimited,
    StorageFailed,
)
from retouch.jobs import room
from retouch.jobs.job import FINISHED, Failure, JobKind, JobState, Outcome
from retouch.jobs.sqlite_store import SqliteJobStore
from retouch.jobs.store import JobLimits, Swept

PICTURES = (png(b"picture"), png(b"mask", "mask"))
UNKNOWN = f"job_{'0' * 8}_{'0' * 32}"


def reopen(store: SqliteJobStore, limits: JobLimits | None = None) -> SqliteJobStore:
    store.close()
    return SqliteJobStore.open(store._folder.path, limits, now=store._now)


def limited(store: SqliteJobStore, **limits: int) -> SqliteJobStore:
    return reopen(store, replace(JobLimits(), **limits))


# The way of a job


def test_a_job_goes_from_queued_to_done_with_its_times(store: SqliteJobStore, clock: Clock) -> None:
    created = store.create(draft(blobs=PICTURES)).job
    assert (created.state, created.attempts, created.started_at, created.is_finished) == ("queued", 0, None, False)
    clock.move(seconds=1)
    started = store.start(created.id)
    assert (started.state, started.attempts) == ("running", 1)
    clock.move(seconds=2)
    ended = store.finish(created.id, done(png(b"result", "result/0")))
    assert (ended.state, ended.result, ended.is_finished) == ("done", {"seeds": [7]}, True)
    assert ended.started_at == created.created_at + timedelta(seconds=1)
    assert ended.ended_at == created.created_at + timedelta(seconds=3)
    assert ended.created_at.tzinfo
    assert store.get("ann", created.id) == ended


def test_a_job_holds_what_it_was_given_until_it_ends_and_then_what_came_of_it(
    store: SqliteJobStore, tmp_path: Path
) -> None:
    job = store.create(draft(blobs=PICTURES)).job
    assert store.blob("ann", job.id, "mask") == PICTURES[1]
    store.start(job.id)
    ended = store.finish(job.id, done(png(b"result", "result/0")))
    assert ended.blobs == (png(b"result", "result/0").info,)
    assert store.blob("ann", job.id, "result/0").data == b"result"
    with pytest.raises(NotFound, match="no such picture now"):
        store.blob("ann", job.id, "mask")
    assert len(files_of(tmp_path / "jobs")) == 1


def test_a_failure_is_kept_with_its_hint(store: SqliteJobStore) -> None:
    job = store.create(draft()).job
    failure = Failure("non_finite", "NaN", "another seed")
    store.finish(job.id, Outcome(JobState.FAILED, error=failure))
    assert store.get("ann", job.id).error == failure


def test_texts_that_are_no_text_come_back_as_they_were(store: SqliteJobStore) -> None:
    prompt = "half a pair \ud800, nothing \x00, 苹果"
    job = store.create(draft(prompt=prompt)).job
    assert store.get("ann", job.id).request == {"prompt": prompt}


@pytest.mark.parametrize("state", sorted(FINISHED))
def test_a_job_that_ended_stays_so(store: SqliteJobStore, tmp_path: Path, state: JobState) -> None:
    job = store.create(draft()).job
    store.start(job.id)
    ended = store.finish(job.id, outcome(state))
    for change in (
        lambda: store.start(job.id),
        lambda: store.requeue(job.id),
        lambda: store.cancel("ann", job.id),
        lambda: store.finish(job.id, done(*PICTURES)),
    ):
        with pytest.raises(Conflict):
            change()
    assert store.get("ann", job.id) == ended
    assert not files_of(tmp_path / "jobs")


def test_a_job_that_waits_cannot_become_done(store: SqliteJobStore) -> None:
    job = store.create(draft()).job
    with pytest.raises(Conflict):
        store.finish(job.id, done())


@pytest.mark.parametrize("begun", [False, True])
def test_cancelling_ends_queued_and_running_jobs(store: SqliteJobStore, tmp_path: Path, begun: bool) -> None:
    job = store.create(draft(blobs=PICTURES)).job
    if begun:
        store.start(job.id)
    assert store.cancel("ann", job.id).state == "cancelled"
    assert not files_of(tmp_path / "jobs")


def test_an_orderly_stop_puts_a_job_back_without_counting_the_attempt(store: SqliteJobStore) -> None:
    job = store.create(draft(blobs=PICTURES)).job
    store.start(job.id)
    assert store.requeue(job.id) == job
    assert store.requeue(job.id) == job
    assert store.blob("ann", job.id, "mask") == PICTURES[1]


def test_what_no_id_names_is_not_found(store: SqliteJobStore) -> None:
    for job_id in (UNKNOWN, "", "'; DROP TABLE jobs", "job_\ud800", "x" * 10_000_000):
        with pytest.raises(NotFound):
            store.get("ann", job_id)
    with pytest.raises(NotFound):
        store.start(UNKNOWN)
    with pytest.raises(NotFound):
        store.finish(UNKNOWN, done())


# Owners


def test_ids_are_random_and_begin_with_a_tag_of_the_owner(store: SqliteJobStore) -> None:
    ids = [store.create(draft(owner)).job.id for owner in ("ann", "ann", "bob")]
    assert all(re.fullmatch(r"job_[0-9a-f]{8}_[0-9a-f]{32}", job_id) for job_id in ids)
    assert len({job_id[13:] for job_id in ids}) == 3
    assert ids[0][:12] == ids[1][:12] != ids[2][:12]


def test_anothers_job_is_not_told_from_none(store: SqliteJobStore) -> None:
    job = store.create(draft("ann", blobs=PICTURES)).job
    for ask in (
        lambda job_id: store.get("bob", job_id),
        lambda job_id: store.blob("bob", job_id, "image"),
        lambda job_id: store.cancel("bob", job_id),
    ):
        with pytest.raises(NotFound) as foreign:
            ask(job.id)
        with pytest.raises(NotFound) as unknown:
            ask(UNKNOWN)
        assert str(foreign.value) == str(unknown.value)
        assert foreign.type is unknown.type
    with pytest.raises(InvalidField):
        store.page("bob", after=job.id)
    assert store.page("bob").jobs == []
    assert store.get("ann", job.id) == job


def test_an_owner_may_have_so_many_unfinished_jobs(store: SqliteJobStore, tmp_path: Path) -> None:
    store = limited(store, unfinished_per_owner=2)
    first, second = (store.create(draft(blobs=PICTURES)).job for _ in range(2))
    store.start(second.id)
    with pytest.raises(RateLimited):
        store.create(draft(blobs=PICTURES))
    assert len(files_of(tmp_path / "jobs")) == 2
    store.create(draft("bob"))
    store.cancel("ann", first.id)
    store.create(draft())
    store.close()


# Idempotency keys


def test_the_same_key_and_body_are_the_same_job(store: SqliteJobStore, tmp_path: Path) -> None:
    first = store.create(draft(key="k", fingerprint="f", blobs=PICTURES))
    again = store.create(draft(key="k", fingerprint="f", blobs=PICTURES))
    assert (first.is_new, again.is_new) == (True, False)
    assert first.job == again.job
    assert len(files_of(tmp_path / "jobs")) == 1


def test_the_same_key_with_another_body_is_a_conflict(store: SqliteJobStore) -> None:
    store.create(draft(key="k", fingerprint="f"))
    with pytest.raises(Conflict, match="Idempotency-Key"):
        store.create(draft(key="k", fingerprint="g"))


def test_a_key_is_its_owners_and_no_key_is_never_the_same(store: SqliteJobStore) -> None:
    assert store.create(draft("ann", key="k", fingerprint="f")).is_new
    assert store.create(draft("bob", key="k", fingerprint="g")).is_new
    assert store.create(draft()).is_new
    assert store.create(draft()).is_new


def test_a_key_finds_its_job_whatever_became_of_it(store: SqliteJobStore) -> None:
    store = limited(store, unfinished_per_owner=1)
    job = store.create(draft(key="k", fingerprint="f")).job
    assert store.create(draft(key="k", fingerprint="f")).job == job
    store.start(job.id)
    ended = store.finish(job.id, done())
    store = reopen(store)
    assert store.create(draft(key="k", fingerprint="f")).job == ended
    store.close()


@pytest.mark.parametrize("code", ["interrupted", "draining", "queue_full", "storage_failed", "deadline_exceeded"])
def test_a_key_is_free_again_where_its_job_ended_by_what_may_be_gone_now(store: SqliteJobStore, code: str) -> None:
    first = store.create(draft(key="k", fingerprint="f")).job
    ended = store.finish(first.id, Outcome(JobState.FAILED, error=Failure(code, "why")))
    with pytest.raises(Conflict, match="Idempotency-Key"):
        store.create(draft(key="k", fingerprint="g"))
    again = store.create(draft(key="k", fingerprint="f"))
    assert (again.is_new, again.job.state) == (True, "queued")
    assert store.create(draft(key="k", fingerprint="f")).job == again.job
    assert store.get("ann", first.id) == ended


@pytest.mark.parametrize("code", ["blocked", "mask_size", "generation_failed", "a code of another version"])
def test_a_key_keeps_a_job_that_failed_by_itself(store: SqliteJobStore, code: str) -> None:
    job = store.create(draft(key="k", fingerprint="f")).job
    ended = store.finish(job.id, Outcome(JobState.FAILED, error=Failure(code, "why")))
    assert store.create(draft(key="k", fingerprint="f")).job == ended


def test_what_a_draft_would_find_is_told_without_keeping_it(store: SqliteJobStore) -> None:
    assert store.earlier(draft(key="k", fingerprint="f")) is None
    job = store.create(draft(key="k", fingerprint="f")).job
    found = store.earlier(draft(key="k", fingerprint="f"))
    assert found
    assert (found.job, found.is_new) == (job, False)
    with pytest.raises(Conflict, match="Idempotency-Key"):
        store.earlier(draft(key="k", fingerprint="g"))


def test_a_key_is_free_again_once_its_job_is_forgotten(store: SqliteJobStore, clock: Clock) -> None:
    job = store.create(draft(key="k", fingerprint="f")).job
    store.cancel("ann", job.id)
    clock.move(hours=25)
    store.sweep()
    assert store.create(draft(key="k", fingerprint="f")).job.state == "expired"
    clock.move(hours=25)
    store.sweep()
    assert store.create(draft(key="k", fingerprint="g")).is_new


@pytest.mark.parametrize("key", ["", "a" * 256, "line\nbreak", "ключ", "\ud800"])
def test_a_key_that_is_none_is_refused(store: SqliteJobStore, key: str) -> None:
    with pytest.raises(InvalidField):
        store.create(draft(key=key))


# Lists


def test_pages_are_newest_first_and_end(store: SqliteJobStore, clock: Clock) -> None:
    ids = []
    for step in range(5):
        ids.append(store.create(draft(prompt=str(step))).job.id)
        clock.move(seconds=-1)  # a clock that goes back changes no order
        store.create(draft("bob"))
    found, after = [], None
    for expected in (2, 2, 1):
        page = store.page("ann", after=after, limit=2)
        assert len(page.jobs) == expected
        found += [job.id for job in page.jobs]
        after = page.next_after
    assert found == ids[::-1]
    assert after is None


def test_a_full_last_page_has_no_next_one(store: SqliteJobStore) -> None:
    for _ in range(2):
        store.create(draft())
    assert store.page("ann", limit=2).next_after is None


def test_pages_may_be_of_one_state_or_kind(store: SqliteJobStore) -> None:
    waiting = store.create(draft()).job
    batch = store.start(store.create(draft(kind=JobKind.BATCH)).job.id)
    assert store.page("ann", state=JobState.QUEUED).jobs == [waiting]
    assert store.page("ann", kind=JobKind.BATCH).jobs == [batch]
    assert store.page("ann", state=JobState.QUEUED, kind=JobKind.BATCH).jobs == []


@pytest.mark.parametrize("limit", [0, -1, 101])
def test_a_page_has_a_size_within_bounds(store: SqliteJobStore, limit: int) -> None:
    with pytest.raises(InvalidField):
        store.page("ann", limit=limit)


def test_a_page_after_no_job_is_told(store: SqliteJobStore) -> None:
    with pytest.raises(InvalidField, match="after"):
        store.page("ann", after=UNKNOWN)


# What is kept


def finished(store: SqliteJobStore, size_bytes: int = 0, owner: str = "ann") -> str:
    job = store.create(draft(owner)).job
    store.start(job.id)
    store.finish(job.id, done(*[png(bytes(size_bytes), "result/0")] * bool(size_bytes)))
    return job.id


def states(store: SqliteJobStore) -> dict[str, str]:
    return {job.id: str(job.state) for job in store.page("ann", limit=100).jobs}


def test_a_finished_job_expires_and_is_forgotten_in_time(
    store: SqliteJobStore, clock: Clock, tmp_path: Path
) -> None:
    job_id = finished(store, 100)
    clock.move(hours=23)
    assert store.sweep() == Swept(expired=0, forgotten=0)
    clock.move(hours=2)
    assert store.sweep() == Swept(expired=1, forgotten=0)
    expired = store.get("ann", job_id)
    assert (expired.state, expired.request, expired.result, expired.blobs) == ("expired", {}, None, ())
    assert not files_of(tmp_path / "jobs")
    with pytest.raises(Gone):
        store.blob("ann", job_id, "result/0")
    clock.move(hours=25)
    assert store.sweep() == Swept(expired=0, forgotten=1)
    with pytest.raises(NotFound) as raised:
        store.blob("ann", job_id, "result/0")
    assert raised.type is NotFound


def test_nothing_of_an_expired_job_stays_on_the_disk(store: SqliteJobStore, clock: Clock, tmp_path: Path) -> None:
    job = store.create(draft(prompt="a secret wish" * 500, blobs=(png(b"a secret face"),))).job
    store.finish(job.id, Outcome(JobState.BLOCKED, {"words": "a secret word"}))
    assert any(b"secret" in file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())
    clock.move(hours=25)
    store.sweep()
    store.close()
    assert not any(b"secret" in file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())


def test_unfinished_jobs_never_expire(store: SqliteJobStore, clock: Clock) -> None:
    running = store.create(draft(blobs=PICTURES)).job.id
    store.start(running)
    waiting = store.create(draft()).job.id
    clock.move(days=365)
    store.sweep()
    assert states(store) == {running: "running", waiting: "queued"}


def test_the_finished_job_that_was_not_used_for_longest_makes_room(store: SqliteJobStore, clock: Clock) -> None:
    store = limited(store, total_bytes=300)
    ids = []
    for _ in range(3):
        clock.move(seconds=1)
        ids.append(finished(store, 100))
    clock.move(seconds=1)
    store.blob("ann", ids[0], "result/0")
    ids.append(finished(store, 100))
    assert [states(store)[job_id] for job_id in ids] == ["done", "expired", "done", "done"]
    store.close()


def test_room_is_made_for_what_comes_in_too(store: SqliteJobStore, tmp_path: Path) -> None:
    store = limited(store, total_bytes=300)
    ids = [finished(store, 100) for _ in range(3)]
    store.create(draft(blobs=(png(bytes(150)),)))
    assert [states(store)[job_id] for job_id in ids] == ["expired", "expired", "done"]
    assert len(files_of(tmp_path / "jobs")) == 2
    store.close()


def test_jobs_without_blobs_do_not_go_for_bytes(store: SqliteJobStore) -> None:
    store = limited(store, total_bytes=100)
    small = finished(store)
    for _ in range(2):
        finished(store, 100)
    assert states(store)[small] == "done"
    store.close()


def test_pictures_of_unfinished_jobs_are_never_deleted_for_room(store: SqliteJobStore, tmp_path: Path) -> None:
    store = limited(store, total_bytes=250)
    kept = finished(store, 50)
    waiting = store.create(draft(blobs=(png(bytes(200)),))).job.id
    with pytest.raises(QueueFull):
        store.create(draft(blobs=(png(bytes(100)),)))
    assert states(store) == {waiting: "queued", kept: "done"}
    assert len(files_of(tmp_path / "jobs")) == 2
    store.close()


def test_a_result_is_kept_even_where_there_is_no_room(store: SqliteJobStore) -> None:
    store = limited(store, total_bytes=250)
    store.create(draft(blobs=(png(bytes(200)),)))
    first, second = finished(store, 100), finished(store, 100)
    assert states(store)[first] == "expired"
    assert store.blob("ann", second, "result/0").data == bytes(100)
    store.close()


def test_a_sweep_that_was_undone_hides_nobody_from_the_next(store: SqliteJobStore) -> None:
    ids = [finished(store, 100) for _ in range(3)]
    store = limited(store, total_bytes=100)

    def fail(connection: sqlite3.Connection) -> None:
        room.sweep(connection, store.limits, store._recency, store._now())
        raise StorageFailed("the disk is full")

    with pytest.raises(StorageFailed):
        store._database.write(fail)
    assert list(states(store).values()) == ["done"] * 3
    store.sweep()
    assert [states(store)[job_id] for job_id in ids] == ["expired", "expired", "done"]
    store.close()


def test_finished_and_expired_jobs_are_so_many_at_most(store: SqliteJobStore) -> None:
    store = limited(store, finished_jobs=2)
    ids = [finished(store) for _ in range(6)]
    assert [states(store)[job_id] for job_id in ids] == ["expired"] * 4 + ["done"] * 2
    assert store.sweep() == Swept(expired=0, forgotten=2)
    assert sorted(states(store)) == sorted(ids[2:])
    store.close()


# Stops and starts


def test_after_a_crash_what_was_begun_is_interrupted(store: SqliteJobStore, tmp_path: Path) -> None:
    waiting = store.create(draft(blobs=PICTURES)).job
    running = store.create(draft(blobs=PICTURES)).job
    store.start(running.id)
    ended = finished(store, 10)
    store = reopen(store)
    recovered = store.recover()
    assert [job.id for job in recovered] == [waiting.id, running.id]
    assert {str(job.state) for job in recovered} == {"interrupted"}
    assert all(job.error and job.error.code == "interrupted" and job.ended_at for job in recovered)
    assert store.get("ann", ended).state == "done"
    assert len(files_of(tmp_path / "jobs")) == 1
    assert store.recover() == []
    store.close()


def test_or_it_waits_again_with_its_pictures(store: SqliteJobStore) -> None:
    waiting = store.create(draft(blobs=PICTURES)).job
    running = store.create(draft(blobs=PICTURES)).job
    store.start(running.id)
    store = reopen(store)
    assert list(store.recover(resume=True)) == [waiting, replace(running, attempts=1)]
    assert store.blob("ann", running.id, "image") == PICTURES[0]
    store.close()


def test_a_job_that_was_running_in_three_crashes_is_not_begun_again(store: SqliteJobStore) -> None:
    job_id = store.create(draft()).job.id
    for expected in ("queued", "queued", "interrupted"):
        store.start(job_id)
        store = reopen(store)
        assert [job.state for job in store.recover(resume=True)] == [expected]
    store.close()


def test_a_job_whose_pictures_are_lost_is_not_begun_again(store: SqliteJobStore, tmp_path: Path) -> None:
    store.create(draft(blobs=PICTURES))
    (tmp_path / "jobs" / "blobs" / files_of(tmp_path / "jobs")[0]).unlink()
    store = reopen(store)
    assert [job.state for job in store.recover(resume=True)] == ["interrupted"]
    store.close()


def test_a_start_deletes_what_no_job_names_and_nothing_else(store: SqliteJobStore, tmp_path: Path) -> None:
    job_id = finished(store, 10)
    blobs = tmp_path / "jobs" / "blobs"
    (blobs / f"{'0' * 32}.blobs").write_bytes(b"half a pict")
    (blobs / "notes.txt").write_text("mine")
    store = reopen(store)
    assert len(files_of(tmp_path / "jobs")) == 2
    assert (blobs / "notes.txt").exists()
    assert store.blob("ann", job_id, "result/0").data == bytes(10)
    store.close()


def test_a_finished_job_without_its_file_is_expired_after_a_start(store: SqliteJobStore, tmp_path: Path) -> None:
    job_id = finished(store, 10)
    (tmp_path / "jobs" / "blobs" / files_of(tmp_path / "jobs")[0]).unlink()
    store = reopen(store)
    assert store.get("ann", job_id).state == "expired"
    store.close()


def test_two_stores_do_not_share_a_folder(store: SqliteJobStore, tmp_path: Path) -> None:
    with pytest.raises(OutputInUse):
        SqliteJobStore.open(tmp_path / "jobs")


def test_a_store_that_could_not_be_opened_lets_go_of_its_folder(tmp_path: Path) -> None:
    (tmp_path / "jobs.sqlite3").write_bytes(b"no database" * 1000)
    for _ in range(2):
        with pytest.raises(Exception, match="cannot be used as a database"):
            SqliteJobStore.open(tmp_path)


def test_a_closed_store_says_so_and_may_be_closed_again(store: SqliteJobStore, tmp_path: Path) -> None:
    job_id = finished(store, 10)
    store.close()
    store.close()
    for call in (lambda: store.create(draft(blobs=PICTURES)), lambda: store.get("ann", job_id), store.sweep):
        with pytest.raises(Draining):
            call()
    assert len(files_of(tmp_path / "jobs")) == 1


def test_nothing_in_the_folder_is_for_others(store: SqliteJobStore, tmp_path: Path) -> None:
    store.create(draft(blobs=PICTURES))
    for file in (tmp_path / "jobs").rglob("*"):
        assert file.stat().st_mode & 0o077 == 0, file


# Files that are kept elsewhere


def test_files_beside_count_as_blobs_do_and_finished_jobs_make_room_for_them(store: SqliteJobStore) -> None:
    store = limited(store, total_bytes=100)
    old = store.start(store.create(draft(blobs=(png(bytes(10)),))).job.id)
    store.finish(old.id, done(png(bytes(60))))
    new = store.start(store.create(replace(draft(), beside_bytes=30)).job.id)
    assert store.get("ann", old.id).state is JobState.DONE
    store.weigh(new.id, 50)
    assert store.get("ann", old.id).state is JobState.EXPIRED
    with pytest.raises(QueueFull):
        store.create(replace(draft(), beside_bytes=51))
    store.finish(new.id, done(png(bytes(40))))  # together with what is beside, all that there is room for
    store.create(replace(draft(), beside_bytes=10))
    assert store.get("ann", new.id).state is JobState.DONE


def test_an_ended_job_is_not_weighed(store: SqliteJobStore) -> None:
    job = store.create(draft()).job
    store.cancel("ann", job.id)
    for unknown in (job.id, UNKNOWN):
        with pytest.raises(Conflict):
            store.weigh(unknown, 1)


def test_kept_jobs_are_those_that_are_not_expired(store: SqliteJobStore, clock: Clock) -> None:
    old, new = store.create(draft()).job, store.create(draft("bob")).job
    assert [job.id for job in store.kept()] == [old.id, new.id]
    store.cancel("ann", old.id)
    clock.move(days=2)
    store.sweep()
    assert [job.id for job in store.kept()] == [new.id]


def test_jobs_of_the_first_schema_are_kept(tmp_path: Path) -> None:
    with SqliteJobStore.open(tmp_path) as store:
        job = store.create(draft(blobs=PICTURES)).job
    with sqlite3.connect(tmp_path / "jobs.sqlite3") as connection:
        connection.execute("ALTER TABLE jobs DROP COLUMN server")
        connection.execute("ALTER TABLE jobs DROP COLUMN is_awaited")
        connection.execute("PRAGMA user_version = 1")
    connection.close()
    with SqliteJobStore.open(tmp_path) as store:
        assert store.get("ann", job.id) == job
        assert list(store.recover(resume=True)) == [job]
