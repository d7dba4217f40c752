"""What a service does beside requests."""

import asyncio

from retouch.serve.service import _every


def test_a_chore_that_fails_is_done_again() -> None:
    async def done_twice() -> None:
        times, is_done = 0, asyncio.Event()

        async def chore() -> None:
            nonlocal times
            times += 1
            if times == 1:
                raise OSError("too many open files")
            is_done.set()

        doing = asyncio.create_task(_every(0.0, chore))
        async with asyncio.timeout(20):
            await is_done.wait()
        doing.cancel()

    asyncio.run(done_twice())
