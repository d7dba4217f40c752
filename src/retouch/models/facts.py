"""What a checkpoint says beside its weights: their hash does not show it, and it decides the pixels, too."""

import hashlib
import json
from dataclasses import asdict
from typing import Any

from retouch.models.bundle import ModelBundle

_DIGITS = 16


def config_of(bundle: ModelBundle) -> dict[str, Any]:
    """Return scheduler, prediction type, sizes, scaling and advice, as plain values of JSON."""
    scheduler = {key: value for key, value in bundle.scheduler_config.items() if not key.startswith("_")}
    found = {
        "prediction_type": bundle.prediction_type,
        "scheduler": {**scheduler, "class": bundle.scheduler_class},
        "native_size": bundle.native_size,
        "size_multiple": bundle.size_multiple,
        "scaling_factor": bundle.scaling_factor,
        "shift_factor": bundle.shift_factor,
        "attention_head_dim": bundle.unet.config.get("attention_head_dim"),
        "hidden_act": getattr(bundle.text_encoder.config, "hidden_act", None),
        "recommended": {key: value for key, value in asdict(bundle.recommended).items() if value is not None},
    }
    # The config of a scheduler that was handed over in memory may hold arrays.
    plain: dict[str, Any] = json.loads(json.dumps(found, default=str))
    return plain


def config_marks(bundle: ModelBundle) -> dict[str, str]:
    """Return a few short facts that tell one config from another.

    Of the advice only the variants are among them: a request settles the rest.
    """
    config = {key: value for key, value in config_of(bundle).items() if key != "recommended"}
    told = {"variants": bundle.recommended.variants, "variants_of": bundle.recommended.variants_of}
    config |= {key: list(words) for key, words in told.items() if words is not None}
    return {
        "prediction_type": bundle.prediction_type,
        "scheduler": bundle.scheduler_class,
        "config": hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()[:_DIGITS],
    }
