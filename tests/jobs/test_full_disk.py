"""A full disk: a typed error, nothing half-written, nothing lost, and the end of a job can still be noted."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from tests.jobs.drafts import done, draft, files_of, png

from retouch.errors import StorageFailed
from retouch.jobs.job import Failure, Job, JobState, Outcome
from retouch.jobs.sqlite_store import SqliteJobStore
from retouch.jobs.store import JobLimits

MANY = JobLimits(unfinished_per_owner=1_000_000)

LIMITED = """
import resource, sys
from pathlib import Path
from retouch.errors import StorageFailed
from retouch.jobs.job import Blob, JobDraft, JobKind, JobState, Outcome
from retouch.jobs.sqlite_store import SqliteJobStore

resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]),) * 2)
try:
    store = SqliteJobStore.open(Path(sys.argv[1]))
except StorageFailed:
    sys.exit()
for size in [10, 3_000, 40_000] * 5:
    blobs = (Blob("picture", "image/png", bytes(size)),)
    try:
        job = store.create(JobDraft("ann", JobKind.INPAINT, {"prompt": "p" * size}, blobs)).job
        print(job.id, "queued", size, flush=True)
        store.start(job.id)
        print(job.id, "running", size, flush=True)
        store.finish(job.id, Outcome(JobState.DONE, {}, blobs))
        print(job.id, "done", size, flush=True)
    except StorageFailed:
        pass
"""


@pytest.mark.parametrize("limit", [100, 5_000, 20_000, 50_000, 80_000, 120_000, 200_000, 500_000])
def test_a_limit_on_the_size_of_files_is_a_failure_of_storage(tmp_path: Path, limit: int) -> None:
    command = [sys.executable, "-c", LIMITED, str(tmp_path), str(limit)]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
    told = {job_id: (state, int(size)) for job_id, state, size in map(str.split, finished.stdout.splitlines())}
    with SqliteJobStore.open(tmp_path) as store:
        jobs = store.page("ann", limit=100).jobs
        assert {job.id for job in jobs} == set(told)
        for job in jobs:
            state, size = told[job.id]
            assert job.state == state
            assert store.blob("ann", job.id, "picture").data == bytes(size)
        assert len(files_of(tmp_path)) == len(jobs)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 8 MiB, where this process may make one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = shutil.which("mount")
    if not mount or subprocess.run([mount, "-t", "tmpfs", "-o", "size=8m", "none", disk], check=False).returncode:
        pytest.skip("only root can mount a small disk")
    yield disk
    subprocess.run(["umount", disk], check=True)


def fill(disk: Path) -> None:
    """Take the last byte of a disk."""
    with (disk / "rest").open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(1 << 16))


def test_a_full_disk_refuses_new_jobs_and_keeps_the_old(small_disk: Path) -> None:
    with SqliteJobStore.open(small_disk / "jobs", MANY) as store:
        kept: list[Job] = []
        with suppress(StorageFailed):
            while True:
                kept.append(store.create(draft(blobs=(png(bytes([len(kept)]) * 500_000),))).job)
        for number, job in enumerate(kept):
            assert store.blob("ann", job.id, "image").data == bytes([number]) * 500_000
        assert len(files_of(small_disk / "jobs")) == len(kept) > 5
        store.cancel("ann", kept.pop().id)
        store.create(draft(blobs=(png(bytes(400_000)),)))


def test_on_a_full_disk_the_end_of_every_job_is_noted(small_disk: Path) -> None:
    with SqliteJobStore.open(small_disk / "jobs", MANY) as store:
        running = [store.start(store.create(draft()).job.id) for _ in range(100)]
        fill(small_disk)
        with pytest.raises(StorageFailed):
            store.finish(running[0].id, done(png(bytes(100_000))))
        refused = 0
        for _ in range(100):
            try:
                store.create(draft(prompt="p" * 2000))
            except StorageFailed:
                refused += 1
        assert refused  # and the reserve was not spent on new ones
        for job in running:
            store.finish(job.id, Outcome(JobState.FAILED, error=Failure("storage_failed", "no room", "free some")))
    with SqliteJobStore.open(small_disk / "jobs") as store:
        assert {store.get("ann", job.id).state for job in running} == {JobState.FAILED}


def test_the_reserve_is_taken_again_when_there_is_room(small_disk: Path) -> None:
    with SqliteJobStore.open(small_disk / "jobs", MANY) as store:
        store._reserve.spend()
        fill(small_disk)
        store.sweep()
        assert not store._reserve.path.exists()
        (small_disk / "rest").unlink()
        store.sweep()
        assert store._reserve.path.exists()
