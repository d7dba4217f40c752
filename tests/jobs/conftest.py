"""A store in a temporary folder, with a clock that stands still until it is moved."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.jobs.drafts import Clock

from retouch.jobs.sqlite_store import SqliteJobStore


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> Iterator[SqliteJobStore]:
    with SqliteJobStore.open(tmp_path / "jobs", now=clock) as opened:
        yield opened
