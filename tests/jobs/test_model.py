"""Any order of calls, crashes among them, leaves what a plain model of the store says."""

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, multiple, rule
from tests.jobs.drafts import Clock, draft, files_of, png

from retouch.errors import Conflict, Gone, NotFound, QueueFull, RateLimited
from retouch.jobs.job import FINISHED, UNFINISHED, JobState, Outcome
from retouch.jobs.sqlite_store import SqliteJobStore
from retouch.jobs.store import JobLimits

LIMITS = JobLimits(
    unfinished_per_owner=3,
    total_bytes=1000,
    finished_jobs=4,
    time_to_live=timedelta(hours=2),
    remembered_for=timedelta(hours=3),
    attempts=2,
)
MEMORY = Path("/dev/shm")  # the order of things is tried here, not the disk
OWNERS = st.sampled_from(["ann", "bob"])
BODIES = st.sampled_from([b"", bytes(10), bytes(300), bytes(400)])


@dataclass
class Known:
    """What the model knows of a job."""

    owner: str
    data: bytes
    key: str | None
    fingerprint: str
    state: JobState = JobState.QUEUED
    was_cut_off: bool = False
    attempts: int = 0
    ended_at: datetime = datetime.max
    used: int = 0
    expired_at: datetime = datetime.max


class JobStoreMachine(RuleBasedStateMachine):
    """The store beside a dictionary in the order of creation that does the same the obvious way."""

    ids = Bundle("ids")

    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp(dir=MEMORY if MEMORY.is_dir() else None))
        self.folder = self.root / "0"
        self.clock = Clock()
        self.jobs: dict[str, Known] = {}
        self.uses = 0
        self.store = SqliteJobStore.open(self.folder, LIMITS, now=self.clock)

    def teardown(self) -> None:
        self.store.close()
        shutil.rmtree(self.root)

    # The model

    def unfinished(self) -> list[Known]:
        return [job for job in self.jobs.values() if job.state in UNFINISHED]

    def finished(self) -> list[Known]:
        """The one that was not used for longest first."""
        return sorted((job for job in self.jobs.values() if job.state in FINISHED), key=lambda job: job.used)

    def use(self, job: Known) -> None:
        self.uses += 1
        job.used = self.uses

    def total(self) -> int:
        return sum(len(job.data) for job in self.jobs.values())

    def expire(self, job: Known) -> None:
        job.state, job.data, job.expired_at, job.was_cut_off = JobState.EXPIRED, b"", self.clock(), False

    def make_room(self, spare: Known | None = None) -> None:
        for job in self.finished():
            is_crowded = len(self.finished()) > LIMITS.finished_jobs
            if job is not spare and (is_crowded or (job.data and self.total() > LIMITS.total_bytes)):
                self.expire(job)

    def end(self, job: Known, state: JobState, data: bytes = b"") -> None:
        job.state, job.data, job.ended_at = state, data, self.clock()
        self.use(job)

    # What is done to both

    @rule(
        target=ids, owner=OWNERS, data=BODIES, key=st.sampled_from([None, "k"]), fingerprint=st.sampled_from("fg")
    )
    def create(self, owner: str, data: bytes, key: str | None, fingerprint: str) -> object:
        blobs = (png(data),) if data else ()
        asked = draft(owner, blobs=blobs, key=key, fingerprint=fingerprint)
        earlier = [name for name, job in self.jobs.items() if key and (job.owner, job.key) == (owner, key)]
        if earlier and self.jobs[earlier[0]].fingerprint != fingerprint:
            with pytest.raises(Conflict):
                self.store.create(asked)
        elif earlier and not self.jobs[earlier[0]].was_cut_off:
            submission = self.store.create(asked)
            assert (submission.job.id, submission.is_new) == (earlier[0], False)
        elif sum(job.owner == owner for job in self.unfinished()) >= LIMITS.unfinished_per_owner:
            with pytest.raises(RateLimited):
                self.store.create(asked)
        elif sum(len(job.data) for job in self.unfinished()) + len(data) > LIMITS.total_bytes:
            with pytest.raises(QueueFull):
                self.store.create(asked)
        else:
            submission = self.store.create(asked)
            assert submission.is_new
            for name in earlier:  # whose key says nothing any more
                self.jobs[name].key = None
            self.jobs[submission.job.id] = Known(owner, data, key, fingerprint)
            self.make_room()
            return submission.job.id
        return multiple()

    def tried(self, job_id: str, is_legal: Callable[[Known], bool], call: Callable[[], object]) -> Known | None:
        """Make a call; return the model's job if that is to change."""
        job = self.jobs.get(job_id)
        if job is None or not is_legal(job):
            with pytest.raises(Conflict if job else NotFound):
                call()
            return None
        call()
        return job

    @rule(job_id=ids)
    def start(self, job_id: str) -> None:
        job = self.tried(job_id, lambda job: job.state is JobState.QUEUED, lambda: self.store.start(job_id))
        if job:
            job.state, job.attempts = JobState.RUNNING, job.attempts + 1

    @rule(job_id=ids)
    def requeue(self, job_id: str) -> None:
        job = self.tried(job_id, lambda job: job.state in UNFINISHED, lambda: self.store.requeue(job_id))
        if job and job.state is JobState.RUNNING:
            job.state, job.attempts = JobState.QUEUED, job.attempts - 1

    @rule(job_id=ids, state=st.sampled_from(sorted(FINISHED)), data=BODIES)
    def finish(self, job_id: str, state: JobState, data: bytes) -> None:
        ended = Outcome(state, blobs=(png(data),) if data else ())
        may_follow = {JobState.RUNNING} if state is JobState.DONE else UNFINISHED
        job = self.tried(job_id, lambda job: job.state in may_follow, lambda: self.store.finish(job_id, ended))
        if job:
            self.end(job, state, data)
            self.make_room(spare=job)

    @rule(target=ids, owner=OWNERS, data=BODIES)
    def run(self, owner: str, data: bytes) -> object:
        """Take a job all the way, so that there are many finished ones."""
        if sum(job.owner == owner for job in self.unfinished()) >= LIMITS.unfinished_per_owner:
            return multiple()
        job_id = self.create(owner, b"", None, "f")
        assert isinstance(job_id, str)
        self.start(job_id)
        self.finish(job_id, JobState.DONE, data)
        return job_id

    @rule(job_id=ids)
    def cancel(self, job_id: str) -> None:
        owner = self.jobs[job_id].owner if job_id in self.jobs else "ann"
        job = self.tried(job_id, lambda job: job.state in UNFINISHED, lambda: self.store.cancel(owner, job_id))
        if job:
            self.end(job, JobState.CANCELLED)
            self.make_room(spare=job)

    @rule(job_id=ids)
    def read(self, job_id: str) -> None:
        job = self.jobs.get(job_id)
        owner = job.owner if job else "ann"
        if job is None or not job.data:
            with pytest.raises(Gone if job and job.state is JobState.EXPIRED else NotFound):
                self.store.blob(owner, job_id, "image")
        else:
            assert self.store.blob(owner, job_id, "image").data == job.data
            self.use(job)

    @rule(minutes=st.sampled_from([1, 30, 100]))
    def wait(self, minutes: int) -> None:
        self.clock.move(minutes=minutes)

    @rule()
    def sweep(self) -> None:
        self.store.sweep()
        now = self.clock()
        for job in self.finished():
            if job.ended_at <= now - LIMITS.time_to_live:
                self.expire(job)
        self.make_room()
        expired = {name: job for name, job in self.jobs.items() if job.state is JobState.EXPIRED}
        newest = sorted(enumerate(expired), key=lambda one: (expired[one[1]].expired_at, one[0]), reverse=True)
        for place, (_, name) in enumerate(newest):
            if place >= LIMITS.finished_jobs or expired[name].expired_at <= now - LIMITS.remembered_for:
                del self.jobs[name]

    @rule(resume=st.booleans())
    def crash(self, resume: bool) -> None:
        """Go on from the files as they are at this moment, without a word to the store."""
        after = self.root / str(int(self.folder.name) + 1)
        shutil.copytree(self.folder, after)
        self.store.close()
        self.folder, self.store = after, SqliteJobStore.open(after, LIMITS, now=self.clock)
        recovered = self.store.recover(resume=resume)
        assert [job.id for job in recovered] == [
            name for name, job in self.jobs.items() if job.state in UNFINISHED
        ]
        kept = [job for job in self.jobs.values() if job.state in FINISHED]
        for job in sorted(kept, key=lambda job: job.ended_at):  # who read what is not kept
            self.use(job)
        for job in self.unfinished():
            if resume and job.attempts < LIMITS.attempts:
                job.state = JobState.QUEUED
            else:
                self.end(job, JobState.INTERRUPTED)
                job.was_cut_off = True

    # What must hold

    @invariant()
    def every_job_is_as_the_model_says(self) -> None:
        for owner in ("ann", "bob"):
            kept = [(job.id, job.state, job.attempts) for job in self.store.page(owner, limit=100).jobs]
            known = [(name, job.state, job.attempts) for name, job in self.jobs.items() if job.owner == owner]
            assert kept == known[::-1]

    @invariant()
    def the_files_are_those_of_the_jobs_and_within_the_limit(self) -> None:
        sizes = [(self.folder / "blobs" / name).stat().st_size for name in files_of(self.folder)]
        assert sorted(sizes) == sorted(len(job.data) for job in self.jobs.values() if job.data)
        assert sum(sizes) <= LIMITS.total_bytes or sum(bool(job.data) for job in self.finished()) <= 1


class LongJobStoreMachine(JobStoreMachine):
    """The same for longer."""


TestJobStore = JobStoreMachine.TestCase
TestJobStore.settings = settings(max_examples=25, stateful_step_count=30, deadline=None)
TestJobStoreForLonger = pytest.mark.slow(LongJobStoreMachine.TestCase)
TestJobStoreForLonger.settings = settings(max_examples=500, stateful_step_count=60, deadline=None)
