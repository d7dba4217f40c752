"""What many ask for at once."""

import asyncio

from retouch.serve.together import Together


def test_what_many_ask_for_is_done_once_for_those_who_came_before_it_began() -> None:
    times = 0

    async def work() -> None:
        nonlocal times
        times += 1
        await asyncio.sleep(0)

    async def ask() -> None:
        together = Together(work)
        first = [asyncio.create_task(together.ask()) for _ in range(3)]
        while not times:
            await asyncio.sleep(0)
        later = [asyncio.create_task(together.ask()) for _ in range(3)]
        await asyncio.sleep(0)
        later.pop().cancel()
        await asyncio.gather(*first, *later)

    asyncio.run(ask())
    assert times == 2


def test_what_ends_it_is_told_to_all_and_the_next_is_done() -> None:
    ends: list[Exception | None] = [OSError("gone"), None]

    async def work() -> None:
        if (end := ends.pop(0)) is not None:
            raise end

    async def ask() -> None:
        together = Together(work)
        told = await asyncio.gather(*(together.ask() for _ in range(3)), return_exceptions=True)
        assert [type(one) for one in told] == [OSError] * 3
        await together.ask()

    asyncio.run(ask())
    assert ends == []
