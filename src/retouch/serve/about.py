"""What a client should know before it asks: the model, its advice and its words, and what this server allows."""

from dataclasses import asdict
from typing import Any

from retouch import __version__
from retouch.data.vocabulary import COLOUR_WORDS, concepts
from retouch.models.bundle import ModelBundle
from retouch.models.scheduler_names import SAMPLERS
from retouch.request import DEFAULT_GUIDANCE_SCALE, DEFAULT_NUM_INFERENCE_STEPS, DEFAULT_SEAM
from retouch.serve.service import Service


def about(service: Service) -> dict[str, Any]:
    """Return it as `GET /v1/about` answers; nothing in it is a path or a setting that only operators need."""
    bundle, settings = service.model, service.settings
    advice = bundle.recommended
    return {
        "version": __version__,
        "model": {"name": service.model_name, "kind": bundle.kind, "native_size": bundle.native_size},
        "advice": {
            "num_inference_steps": advice.num_inference_steps or DEFAULT_NUM_INFERENCE_STEPS,
            "guidance_scale": DEFAULT_GUIDANCE_SCALE if advice.guidance_scale is None else advice.guidance_scale,
            "scheduler": advice.scheduler or bundle.scheduler_class,
            "seam": advice.seam or DEFAULT_SEAM,
        },
        "words": _words(bundle),
        "schedulers": list(SAMPLERS),
        "limits": asdict(service.limits) | {"body_bytes": settings.body_bytes},
        "safety": {"policy": settings.safety, "may_be_off": settings.allow_safety_off},
    }


def _words(bundle: ModelBundle) -> dict[str, Any] | None:
    """Return what a small model knows: every word, and the things among them that can be asked for."""
    if bundle.vocabulary is None:
        return None
    return {
        "known": sorted(bundle.vocabulary),
        "things": [one.name for one in concepts() if bundle.vocabulary.issuperset(one.name.split())],
        "colours": [colour for colour in COLOUR_WORDS if colour in bundle.vocabulary],
    }
