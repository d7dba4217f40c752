"""The text that A1111's web UI writes beside a picture, `parameters`, composed.

Form: the prompt; a line `Negative prompt: ...`; one line `Name: value, Name: value, ...`. A value with a comma,
colon or line break is quoted as JSON. Source: the AUTOMATIC1111 stable-diffusion-webui, module infotext_utils.
"""

import json
from collections.abc import Mapping

_NEGATIVE = "Negative prompt:"


def format_parameters(prompt: str, negative_prompt: str, settings: Mapping[str, object]) -> str:
    """Compose the text; settings that are None are left out."""
    lines = [prompt] if prompt else []
    if negative_prompt:
        lines.append(f"{_NEGATIVE} {negative_prompt}")
    shown = [f"{name}: {_quoted(value)}" for name, value in settings.items() if value is not None]
    if shown:
        lines.append(", ".join(shown))
    return "\n".join(lines)


def _quoted(value: object) -> str:
    text = str(value)
    return json.dumps(text, ensure_ascii=False) if any(mark in text for mark in ',:\n"') else text
