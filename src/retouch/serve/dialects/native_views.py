"""How our own dialect shows a job."""

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any

from fastapi import Response
from fastapi.responses import JSONResponse, StreamingResponse

from retouch.errors import Cancelled, Gone, status_of
from retouch.jobs.job import Job, JobState
from retouch.serve.desk import Desk
from retouch.serve.pictures import picture_text
from retouch.serve.service import Service


def place_of(job: Job, service: Service) -> str:
    """Return where a client finds a job."""
    return f"{service.root}/v1/jobs/{job.id}"


def view_of(job: Job, desk: Desk, service: Service) -> dict[str, Any]:
    """Return what a client sees of a job: where it stands, and where its pictures are."""
    place = place_of(job, service)
    view = {**standing_of(job), "request": dict(job.request), "url": place}
    if job.state is JobState.DONE and job.result is not None:
        view["result"] = {**job.result, "images": _images(job, place), "mask_url": f"{place}/mask"}
    return view | progress_of(job, desk, service)


def standing_of(job: Job) -> dict[str, Any]:
    """Return what is told of a job of any kind: its state and times, and what ended it."""
    view: dict[str, Any] = {
        "id": job.id,
        "state": job.state.value,
        "created_at": _time(job.created_at),
        "started_at": _time(job.started_at),
        "ended_at": _time(job.ended_at),
    }
    if job.error is not None:
        view["error"] = {"code": job.error.code, "message": job.error.message, "hint": job.error.hint}
    return view


def progress_of(job: Job, desk: Desk, service: Service) -> dict[str, Any]:
    """Return how far the work is, while it is under way: here, or on another server that told of it."""
    live = desk.live(job.id)
    if job.is_finished:
        return {}
    if live is None or live.work is None:
        return dict(service.company.progress.get(job.id, {}))
    return {"position": service.position(live.work), "progress": live.work.steps}


async def file_of(
    owner: str, job_id: str, name: str, desk: Desk, *, headers: Mapping[str, str] = MappingProxyType({})
) -> Response:
    """Answer with one of a job's files, read as the client takes it."""
    blob = await desk.open_blob(owner, job_id, name)
    length = {"content-length": str(blob.info.size_bytes)}
    return StreamingResponse(desk.pieces(blob), headers={**headers, **length}, media_type=blob.info.media_type)


async def answer_of(job: Job, desk: Desk, service: Service, *, accept: str) -> Response:
    """Answer who waited for a job: with its view and pictures, or with the first picture itself."""
    if job.state is not JobState.DONE:
        view = view_of(job, desk, service)
        unexplained = Gone if job.state is JobState.EXPIRED else Cancelled
        code = unexplained.code if job.error is None else job.error.code
        return JSONResponse(
            {"error": {"code": code, "message": f"the job is {job.state}"}} | view, status_of(code)
        )
    infos = [info for info in job.blobs if info.name.startswith("result/")]
    first = infos[0]
    if any(part.strip().partition(";")[0] in ("image/*", first.media_type) for part in accept.split(",")):
        headers = {
            "location": place_of(job, service),
            "x-retouch-seed": str((job.result or {})["images"][0]["seed"]),
        }
        return await file_of(job.owner, job.id, first.name, desk, headers=headers)
    view = view_of(job, desk, service)
    for image, info in zip(view["result"]["images"], infos, strict=True):
        image["b64_json"] = picture_text((await desk.blob(job.owner, job.id, info.name)).data)
    return JSONResponse(view, headers={"location": place_of(job, service)})


def _images(job: Job, place: str) -> list[dict[str, Any]]:
    images = (job.result or {})["images"]
    return [{**image, "url": f"{place}/result/{index}"} for index, image in enumerate(images)]


def _time(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()
