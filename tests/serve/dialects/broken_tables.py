"""Bodies that are nearly what a table's client sends."""

import json
import random
from typing import Any

_STRANGE: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2, 7.0, 0.5, 1e300, 10**38, "", "7", "-1", "off", "error", "DDIM", "masked",
    "/etc/passwd", "https://169.254.169.254/latest", "file:///etc/passwd", "data:,", "data:image/png;base64,",
    "AAAA", "\0", [], {}, [[]], [None], {"": None}, {"seed": 1}, [1, 2], "x" * 3_000, "é" * 9,
)  # fmt: skip
_NAMES = (
    "input_data", "columns", "data", "index", "parameters", "params", "prompt", "image", "mask",
    "mask_image", "seed", "num_images_per_prompt", "num_inference_steps", "guidance_scale", "strength",
    "negative_prompt", "height", "width", "safety", "reference", "region", "padding_px", "grow_px", "feather_px",
    "scheduler", "deadline_s", "mask_threshold", "seam", "latent_mask", "dtype", "self", "",
    "dataframe_split", "dataframe_records", "instances", "inputs",
)  # fmt: skip


def broken(document: Any, draw: random.Random) -> bytes:
    """Return a document with some values changed, and sometimes some bytes."""
    document = json.loads(json.dumps(document))
    for _ in range(draw.randint(0, 4)):
        document = _changed(document, draw)
    body = bytearray(json.dumps(document).encode())
    if draw.random() < 0.3 and body:
        for _ in range(draw.randint(1, 6)):
            body[draw.randrange(len(body))] = draw.randrange(256)
    if draw.random() < 0.1:
        del body[draw.randrange(len(body) + 1) :]
    return bytes(body)


def _changed(value: Any, draw: random.Random) -> Any:
    """Change something somewhere in a value."""
    if isinstance(value, dict) and value and draw.random() < 0.85:
        name = draw.choice([*value])
        changed = dict(value)
        action = draw.random()
        if action < 0.6:
            changed[name] = _changed(value[name], draw)
        elif action < 0.7:
            del changed[name]
        elif action < 0.85:
            changed[draw.choice(_NAMES)] = draw.choice(_STRANGE)
        else:
            changed[draw.choice(_NAMES)] = changed.pop(name)
        return changed
    if isinstance(value, list) and value and draw.random() < 0.85:
        at = draw.randrange(len(value))
        action = draw.random()
        if action < 0.6:
            return [*value[:at], _changed(value[at], draw), *value[at + 1 :]]
        return value[:at] + value[at + 1 :] if action < 0.8 else [*value, value[at]]
    return draw.choice(_STRANGE)
