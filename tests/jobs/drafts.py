"""Jobs as tests ask for them, and a clock that they move."""

import itertools
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from retouch.errors import StorageFailed
from retouch.jobs.job import Blob, Failure, JobDraft, JobKind, JobState, Outcome
from retouch.jobs.sqlite_store import SqliteJobStore


@dataclass
class Clock:
    """A clock that stands still until it is moved."""

    time: datetime = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.time

    def move(self, **units: float) -> None:
        self.time += timedelta(**units)


def png(data: bytes, name: str = "image") -> Blob:
    return Blob(name, "image/png", data)


def draft(
    owner: str = "ann",
    *,
    prompt: str = "a red apple",
    blobs: tuple[Blob, ...] = (),
    key: str | None = None,
    fingerprint: str = "",
    kind: JobKind = JobKind.INPAINT,
    is_awaited: bool = False,
) -> JobDraft:
    return JobDraft(owner, kind, {"prompt": prompt}, blobs, key, fingerprint, is_awaited=is_awaited)


def done(*blobs: Blob) -> Outcome:
    return Outcome(JobState.DONE, {"seeds": [7]}, blobs)


def outcome(state: JobState) -> Outcome:
    return Outcome(state, error=None if state is JobState.DONE else Failure(str(state), "why", "what to do"))


def files_of(folder: Path) -> list[str]:
    """The names of the files that hold blobs."""
    return sorted(file.name for file in (folder / "blobs").iterdir())


def failing_disk(monkeypatch: pytest.MonkeyPatch, change: str, *, times: int | None = None) -> None:
    """Let a change of every store fail, so often or until it is undone."""
    sound, failures = getattr(SqliteJobStore, change), itertools.count()

    def changed(store: SqliteJobStore, *args: Any) -> Any:
        if times is None or next(failures) < times:
            raise StorageFailed("the disk is full")
        return sound(store, *args)

    monkeypatch.setattr(SqliteJobStore, change, changed)
