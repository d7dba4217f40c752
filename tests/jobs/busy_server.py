"""Makes jobs and ends them, in two threads, until it is killed; says what the store acknowledged, and when.

A line is `<state> <id> <SHA-256 of its only blob>`, written at once after the call returned.
"""

import hashlib
import os
import random
import sys
import threading
from pathlib import Path

from retouch.jobs.job import Blob, Job, JobDraft, JobKind, JobState, Outcome
from retouch.jobs.sqlite_store import SqliteJobStore
from retouch.jobs.store import JobLimits


def blob() -> Blob:
    return Blob("picture", "image/png", os.urandom(random.choice([100, 5_000, 300_000])))


def say(job: Job, data: bytes) -> None:
    os.write(1, f"{job.state} {job.id} {hashlib.sha256(data).hexdigest()}\n".encode())


def work(store: SqliteJobStore) -> None:
    while True:
        given, made = blob(), blob()
        job = store.create(JobDraft("ann", JobKind.INPAINT, {"prompt": "a red apple"}, (given,))).job
        say(job, given.data)
        fate = random.random()
        if fate < 0.1:
            continue
        if fate < 0.2:
            say(store.cancel("ann", job.id), b"")
            continue
        say(store.start(job.id), given.data)
        if fate < 0.9:
            say(store.finish(job.id, Outcome(JobState.DONE, {"seeds": [7]}, (made,))), made.data)


if __name__ == "__main__":
    opened = SqliteJobStore.open(Path(sys.argv[1]), JobLimits(unfinished_per_owner=1_000_000))
    for job in opened.recover(resume=random.random() < 0.5):
        say(job, opened.blob("ann", job.id, "picture").data if job.blobs else b"")
    for _ in range(2):
        threading.Thread(target=work, args=(opened,)).start()
