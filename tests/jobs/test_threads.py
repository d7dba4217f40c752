"""Many threads at once: each sees its own jobs, keys make one job, each change happens once."""

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from threading import Barrier

from tests.jobs.drafts import done, draft, files_of, png

from retouch.errors import Conflict, Gone, NotFound, RateLimited
from retouch.jobs.sqlite_store import SqliteJobStore
from retouch.jobs.store import JobLimits

THREADS = 8


def at_once(call: Callable[[int], object]) -> list[object]:
    """Call from eight threads in the same moment; return the values, or the errors of ours."""
    barrier = Barrier(THREADS)

    def run(number: int) -> object:
        barrier.wait(timeout=60)
        try:
            return call(number)
        except (Conflict, NotFound, RateLimited) as error:
            return type(error)

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(run, range(THREADS)))


def test_each_thread_takes_its_jobs_all_the_way(store: SqliteJobStore, tmp_path: Path) -> None:
    def life(number: int) -> None:
        owner = f"owner {number}"
        for step in range(5):
            data = bytes([number, step]) * 1000
            job = store.create(draft(owner, blobs=(png(data),))).job
            assert store.blob(owner, job.id, "image").data == data
            store.start(job.id)
            store.finish(job.id, done(png(data[::-1])))
            assert store.blob(owner, job.id, "image").data == data[::-1]
            assert len(store.page(owner).jobs) == step + 1

    assert at_once(life) == [None] * THREADS
    assert len(files_of(tmp_path / "jobs")) == THREADS * 5


def test_one_key_at_once_makes_one_job(store: SqliteJobStore, tmp_path: Path) -> None:
    blobs = (png(b"picture"),)
    made = at_once(lambda _: store.create(draft(key="k", fingerprint="f", blobs=blobs)))
    assert len({submission.job.id for submission in made}) == 1  # type: ignore[attr-defined]
    assert sum(submission.is_new for submission in made) == 1  # type: ignore[attr-defined]
    assert len(files_of(tmp_path / "jobs")) == 1


def test_a_quota_holds_against_all_at_once(store: SqliteJobStore, tmp_path: Path) -> None:
    store.close()
    with SqliteJobStore.open(tmp_path / "jobs", JobLimits(unfinished_per_owner=3)) as store:
        made = at_once(lambda _: store.create(draft(blobs=(png(b"picture"),))))
        assert made.count(RateLimited) == THREADS - 3
        assert len(store.page("ann").jobs) == len(files_of(tmp_path / "jobs")) == 3


def test_a_job_is_started_and_ended_once(store: SqliteJobStore, tmp_path: Path) -> None:
    job = store.create(draft()).job
    started = at_once(lambda _: store.start(job.id).state)
    assert Counter(started) == {"running": 1, Conflict: THREADS - 1}

    def end(number: int) -> object:
        if number % 2:
            return store.cancel("ann", job.id).state
        return store.finish(job.id, done(png(bytes([number]) * 100, "result/0"))).state

    ended = at_once(end)
    assert ended.count(Conflict) == THREADS - 1
    kept = store.get("ann", job.id)
    assert kept.state in ended
    assert len(files_of(tmp_path / "jobs")) == len(kept.blobs)


def test_reading_beside_expiry_gives_the_whole_picture_or_says_that_it_is_gone(
    store: SqliteJobStore, tmp_path: Path
) -> None:
    store.close()
    with SqliteJobStore.open(tmp_path / "jobs", JobLimits(total_bytes=250_000)) as store:

        def write_or_read(number: int) -> None:
            if number < 2:
                for _ in range(20):
                    job = store.start(store.create(draft()).job.id)
                    store.finish(job.id, done(png(job.id.encode() * 2000)))
                return
            for _ in range(100):
                for job in store.page("ann").jobs:
                    with suppress(Gone if job.blobs else NotFound):
                        assert store.blob("ann", job.id, "image").data == job.id.encode() * 2000

        assert at_once(write_or_read) == [None] * THREADS
