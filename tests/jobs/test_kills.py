"""A server is killed at random moments: what it acknowledged is there afterwards, and whole."""

import hashlib
import random
import subprocess
import sys
from pathlib import Path

import pytest
from tests.jobs.drafts import files_of

from retouch.jobs.job import UNFINISHED, Job, JobState
from retouch.jobs.sqlite_store import SqliteJobStore

SERVER = Path(__file__).with_name("busy_server.py")
THREADS = 2


def run_and_kill(folder: Path, delay_s: float) -> list[str]:
    """Run the server for so long after its first word, kill it, and return all its words."""
    with subprocess.Popen([sys.executable, str(SERVER), str(folder)], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout
        lines = [server.stdout.readline()]
        with pytest.raises(subprocess.TimeoutExpired):
            server.wait(timeout=delay_s)
        server.kill()
        return [*lines, *server.stdout]


def progress(state: JobState, *, attempts: int = 0) -> int:
    """How far a job is: waiting, begun or ended; begun it is too if it waits again because its server died."""
    return 2 if state not in UNFINISHED else int(state is JobState.RUNNING or attempts > 0)


def check(store: SqliteJobStore, acknowledged: dict[str, tuple[JobState, str]]) -> None:
    """See that each job is as far as was said, and that its blob is what was said."""
    for job_id, (state, sha256) in acknowledged.items():
        job = store.get("ann", job_id)
        # A server may have taken a running job over, and been killed before it could say that it waits again.
        assert progress(job.state, attempts=job.attempts) >= progress(state)
        if job.blobs and (job.state in UNFINISHED) == (state in UNFINISHED):
            assert hashlib.sha256(store.blob("ann", job_id, "picture").data).hexdigest() == sha256
        assert len(job.blobs) == (job.state in UNFINISHED or job.state is JobState.DONE)


def all_jobs(store: SqliteJobStore) -> list[Job]:
    jobs, after = [], None
    while True:
        page = store.page("ann", after=after, limit=100)
        jobs += page.jobs
        if page.next_after is None:
            return jobs
        after = page.next_after


@pytest.mark.parametrize("kills", [20, pytest.param(50, marks=pytest.mark.slow)])
def test_nothing_that_was_acknowledged_vanishes(tmp_path: Path, kills: int) -> None:
    chance = random.Random(kills)
    acknowledged: dict[str, tuple[JobState, str]] = {}
    for kill in range(1, kills + 1):
        for line in run_and_kill(tmp_path, chance.uniform(0, 0.2)):
            state, job_id, sha256 = line.split()
            acknowledged[job_id] = (JobState(state), sha256)
        with SqliteJobStore.open(tmp_path) as store:
            check(store, acknowledged)
            jobs = all_jobs(store)
            assert len(jobs) - len(acknowledged) <= kill * THREADS  # made, but killed before it could say so
            assert len(files_of(tmp_path)) == sum(bool(job.blobs) for job in jobs)
    unsaid = len(jobs) - len(acknowledged)
    print(f"{kills} kills: {len(acknowledged)} jobs acknowledged, none lost; {unsaid} made and not yet said")
