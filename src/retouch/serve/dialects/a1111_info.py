"""The answer of `POST /sdapi/v1/img2img`: pictures, an echo of the fields, and `info`, which is JSON in a text."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from retouch.result import InpaintResult
from retouch.serve.dialects.a1111_asked import Asked
from retouch.serve.dialects.a1111_fields import in_their_words
from retouch.serve.dialects.a1111_options import Checkpoint
from retouch.serve.pictures import picture_text


def answer_body(
    asked: Asked, result: InpaintResult, files: Sequence[bytes], checkpoint: Checkpoint, *, stamp: str
) -> bytes:
    """Return the whole body; it takes a moment for large pictures.

    Args:
        files: the pictures, encoded, where they shall be sent.
        stamp: when the work began, as A1111 writes it.
    """
    body = {
        "images": [picture_text(file) for file in files],
        "parameters": dict(asked.fields),
        "info": json.dumps(info_of(asked, result, checkpoint, stamp=stamp), ensure_ascii=False),
    }
    return json.dumps(body).encode()


def info_of(asked: Asked, result: InpaintResult, checkpoint: Checkpoint, *, stamp: str) -> dict[str, Any]:
    """Return what A1111 says of its work; the last three, from `nsfw_content_detected` on, are our own."""
    request, count = result.request, len(result.fills)
    notes = map(in_their_words, result.warnings)
    return {
        "prompt": request.prompt,
        "all_prompts": [fill.spoken_prompt for fill in result.fills],
        "negative_prompt": request.negative_prompt,
        "all_negative_prompts": [request.negative_prompt] * count,
        "seed": result.seeds[0],
        "all_seeds": result.seeds,
        "subseed": -1,
        "all_subseeds": [-1] * count,
        "subseed_strength": 0,
        "width": result.original.width,
        "height": result.original.height,
        "sampler_name": asked.choice.sampler,
        "cfg_scale": request.guidance_scale,
        "steps": request.num_inference_steps,
        "batch_size": asked.fields["batch_size"],
        "restore_faces": False,
        "face_restoration_model": None,
        "sd_model_name": checkpoint.name,
        "sd_model_hash": checkpoint.hash,
        "sd_vae_name": None,
        "sd_vae_hash": None,
        "seed_resize_from_w": -1,
        "seed_resize_from_h": -1,
        "denoising_strength": request.strength,
        "extra_generation_params": {"Schedule type": asked.choice.schedule} if asked.choice.schedule else {},
        "index_of_first_image": 0,
        "infotexts": [fill.metadata.parameters for fill in result.fills],
        "styles": [],
        "job_timestamp": stamp,
        "clip_skip": request.clip_skip + 1,
        "is_using_inpainting_conditioning": checkpoint.sees_the_mask,
        "nsfw_content_detected": result.nsfw_content_detected,
        "kept_pixels_identical": result.kept_pixels_identical,
        "warnings": [*asked.warnings, *_about_size(asked, result), *_about_verdicts(result), *notes],
    }


def _about_size(asked: Asked, result: InpaintResult) -> Iterator[str]:
    """Yield a warning where A1111 would have worked, or answered, at another size."""
    region = result.fills[0].metadata.record["region"]
    is_crop = region["mode"] == "masked"
    height, width = region["canvas" if is_crop else "picture_size"]
    if asked.size not in (None, (width, height)):
        what = "the crop around the mask is worked on at" if is_crop else "the picture keeps its own size,"
        yield f"width, height, resize_mode: {what} {width}x{height}"


def _about_verdicts(result: InpaintResult) -> Iterator[str]:
    for number, is_nsfw in enumerate(result.nsfw_content_detected, start=1):
        if is_nsfw:
            yield f"picture {number} was refused by the safety check, and replaced"
