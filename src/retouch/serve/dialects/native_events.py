"""A job as server-sent events: its place in the queue, its steps, previews, and its end."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any

from retouch.jobs.job import Job
from retouch.serve.desk import Desk
from retouch.serve.dialects.native_views import progress_of, view_of
from retouch.serve.pictures import picture_text
from retouch.serve.service import Service

_POLL_S = 0.05
_POLL_ELSEWHERE_S = 0.3
_PREVIEW_EVERY_S = 0.5
_STILL_HERE_S = 10.0


async def events(job: Job, desk: Desk, service: Service, *, with_previews: bool) -> AsyncIterator[str]:
    """Yield the latest of a job as it changes, until it has ended; whoever comes late is told where it stands."""
    told: dict[str, Any] = {}
    said_at = shown_at = time.monotonic()
    while True:
        live = desk.live(job.id)
        if live is None or live.task.done():
            job = await desk.get(job.owner, job.id)
            if job.is_finished:
                break
        now, state = time.monotonic(), progress_of(job if live is None else live.job, desk, service)
        if state and state != told:
            told, said_at = state, now
            yield _event("queued" if state["position"] else "step", state)
        elif now - said_at > _STILL_HERE_S:
            said_at = now
            yield ": still here\n\n"
        if with_previews and live is not None and live.work is not None and now - shown_at > _PREVIEW_EVERY_S:
            shown_at = now
            if (preview := await service.preview(live.work)) is not None:
                yield _event("preview", {"image": f"data:image/png;base64,{picture_text(preview)}"})
        if live is None:
            await asyncio.sleep(_POLL_ELSEWHERE_S)
        else:
            await asyncio.wait({live.task}, timeout=_POLL_S)
    yield _event(job.state.value, view_of(job, desk, service))


def _event(name: str, data: dict[str, Any]) -> str:
    return f"event: {name}\ndata: {json.dumps(data)}\n\n"
