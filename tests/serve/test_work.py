"""Work under way, as many see it who watch."""

import asyncio
from typing import Any

from retouch.engine.ticket import Progress
from retouch.serve.work import Work


class Step:
    """A job at some step."""

    def __init__(self, step: int) -> None:
        self.progress = Progress(step, 9)


def at_step(step: int) -> Work:
    nothing: Any = None
    work = Work(nothing, nothing, deadline_s=1.0)
    job: Any = Step(step)
    work.job = job
    return work


def test_a_preview_is_made_once_a_step_however_many_watch() -> None:
    made: list[int] = []
    go_on = asyncio.Event()

    async def make(job: Any) -> bytes:
        made.append(job.progress.step)
        await go_on.wait()
        return bytes([made[-1]])

    async def watch() -> None:
        work = at_step(1)
        watchers = [asyncio.create_task(work.preview(make)) for _ in range(9)]
        await asyncio.sleep(0)
        watchers.pop().cancel()
        later: Any = Step(2)
        work.job = later
        watchers.append(asyncio.create_task(work.preview(make)))
        await asyncio.sleep(0)
        go_on.set()
        assert await asyncio.gather(*watchers) == [b"\x01"] * 9
        assert [await work.preview(make) for _ in range(3)] == [b"\x02"] * 3

    asyncio.run(watch())
    assert made == [1, 2]


def test_there_is_no_preview_before_the_first_step() -> None:
    async def make(_: Any) -> bytes:
        raise AssertionError

    assert asyncio.run(at_step(0).preview(make)) is None
