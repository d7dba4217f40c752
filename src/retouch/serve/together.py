"""What many may ask for at once, and is done once for all of them."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any


class Together:
    """Does a thing once for all who asked before it began; for one event loop.

    Who asks while it is done is not given what is under way, which may have begun with what was there before, but
    the next one, with all others who ask meanwhile.
    """

    def __init__(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._work = work
        self._one_at_a_time = asyncio.Lock()
        self._next: asyncio.Task[None] | None = None

    async def ask(self) -> None:
        """Have it done, and wait for its end; it goes on where who asked gives up.

        Raises:
            Exception: what ended it, to each who asked.
        """
        if self._next is None:
            self._next = asyncio.create_task(self._do_next())
        await asyncio.shield(self._next)

    async def _do_next(self) -> None:
        async with self._one_at_a_time:
            self._next = None
            await self._work()
