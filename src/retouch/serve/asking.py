"""What a route knows of the request that called it, beside its body."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.types import Scope

from retouch.errors import Cancelled
from retouch.serve.admission import Lease

T = TypeVar("T")


def caller_of(scope: Scope) -> str | None:
    """Return the id of the key that a request brought; None where the server asks for no keys."""
    caller = scope.get("state", {}).get("caller")
    return None if caller is None or caller.is_anonymous else caller.id


def lease_of(request: Request) -> Lease:
    """Return what the request holds of the server; it is given back when its answer has gone."""
    lease: Lease = request.state.lease
    return lease


async def while_connected(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """Run work for a client, and give it up as soon as the client has gone; call it once the body was read.

    Raises:
        Cancelled: the client has gone; nobody will read the answer.
    """
    task = asyncio.create_task(work)
    gone = asyncio.create_task(_gone(request))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        raise Cancelled("the client has gone")
    finally:
        gone.cancel()
        task.cancel()
        await asyncio.gather(task, gone, return_exceptions=True)


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
