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
    return {
        "version": __version__,
        "model": {"name": service.model_name, "kind": bundle.kind, "native_size": bundle.native_size},
        **about_model(bundle),
        "schedulers": list(SAMPLERS),
        "limits": asdict(service.limits) | {"body_bytes": settings.body_bytes},
        "safety": {
            "policy": settings.safety,
            "may_be_off": settings.allow_safety_off or settings.safety == "off",
        },
    }


def about_model(bundle: ModelBundle) -> dict[str, Any]:
    """Return what a model's makers advise where a request is silent, and the words it knows if it is small."""
    advice = bundle.recommended
    return {
        "advice": {
            "num_inference_steps": advice.num_inference_steps or DEFAULT_NUM_INFERENCE_STEPS,
            "guidance_scale": DEFAULT_GUIDANCE_SCALE if advice.guidance_scale is None else advice.guidance_scale,
            "scheduler": advice.scheduler or bundle.scheduler_class,
            "seam": advice.seam or DEFAULT_SEAM,
            "removal": advice.removal,
            "removal_prompts": list(advice.removal_prompts or ()),
        },
        "words": None if bundle.vocabulary is None else _words(bundle.vocabulary),
    }


def _words(vocabulary: frozenset[str]) -> dict[str, list[str]]:
    """Return every word, and the things and colours among them that can be asked for."""
    return {
        "known": sorted(vocabulary),
        "things": [one.name for one in concepts() if vocabulary.issuperset(one.name.split())],
        "colours": [colour for colour in COLOUR_WORDS if colour in vocabulary],
    }
