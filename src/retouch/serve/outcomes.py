"""What is kept of work that has ended: what is told of its result, or why there is none."""

from typing import TYPE_CHECKING, Any

import numpy as np

from retouch.errors import Blocked, Cancelled, Draining, RetouchError
from retouch.imaging.encode import MEDIA_TYPES, encode_picture
from retouch.imaging.morphology import Mask
from retouch.imaging.picture import Picture
from retouch.jobs.job import Blob, Failure, JobState, Outcome
from retouch.request import InpaintRequest
from retouch.result import InpaintResult
from retouch.serve.order import Order

if TYPE_CHECKING:
    from retouch.serve.service import Service


async def outcome_of(result: InpaintResult, order: Order, service: "Service") -> Outcome:
    """Return how a job ended that gave pictures, with their files and that of the mask."""
    media_type = MEDIA_TYPES[order.format]
    blobs = [
        Blob(
            f"result/{index}",
            media_type,
            await service.encode(result, order.format, index=index, metadata=True, quality=order.quality),
        )
        for index in range(len(result.fills))
    ]
    mask = Blob("mask", "image/png", await service.aside(_mask_file, result.mask))
    return Outcome(JobState.DONE, _told_of(result), (*blobs, mask))


def ended_by(error: RetouchError) -> Outcome:
    """Return how a job ended that gave no picture."""
    failure = Failure(error.code, str(error), error.hint)
    if isinstance(error, Blocked):
        return Outcome(JobState.BLOCKED, error=failure)
    if isinstance(error, Draining):
        return Outcome(JobState.INTERRUPTED, error=failure)
    if isinstance(error, Cancelled):
        return Outcome(JobState.CANCELLED, error=failure)
    return Outcome(JobState.FAILED, error=failure)


def _told_of(result: InpaintResult) -> dict[str, Any]:
    """Return what is told of a result beside its pictures."""
    picture = result.fills[0].picture
    return {
        "images": [
            {
                "seed": fill.seed,
                "spoken_prompt": fill.spoken_prompt,
                "nsfw_content_detected": fill.nsfw_content_detected,
                "kept_pixels_identical": fill.kept_pixels_identical,
                "safety": dict(fill.safety),
            }
            for fill in result.fills
        ],
        "width": picture.width,
        "height": picture.height,
        "mask_report": result.mask_report.to_dict(),
        "warnings": list(result.warnings),
        "timings_s": dict(result.timings_s),
        "settled": _settled(result.request),
    }


def _settled(request: InpaintRequest) -> dict[str, Any]:
    """Return what became of the fields that a request may leave open, where they had a part in the picture."""
    names = ["strength", "masked_content", "seed", "seam", "mask_polarity"]
    if request.asks_model:
        names = ["num_inference_steps", "guidance_scale", "scheduler", *names]
    return {name: getattr(request, name) for name in names}


def _mask_file(mask: Mask) -> bytes:
    """Return a mask as a file's bytes."""
    return encode_picture(Picture(mask.astype(np.uint8) * 255))
