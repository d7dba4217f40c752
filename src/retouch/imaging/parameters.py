"""The text that A1111's web UI writes beside a picture, `parameters`, composed and read back.

Form: the prompt; a line `Negative prompt: ...`; one line `Name: value, Name: value, ...`. A value with a comma,
colon or line break is quoted as JSON. Source: the AUTOMATIC1111 stable-diffusion-webui, module infotext_utils.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

_NEGATIVE = "Negative prompt:"
# A text may come from anybody: the time for a line is linear in its length, which is bounded, too.
_SETTING = re.compile(r'(\w[\w \-/+]{0,63}):\s*("(?:\\.|[^\\"])*"|[^,]*)(?:,|$)')
_MAX_LINE = 2**16
_MIN_SETTINGS = 3
"""Fewer on the last line, and it is taken for a part of the prompt, as A1111 does."""


@dataclass(frozen=True, slots=True)
class Parameters:
    """What a `parameters` text holds; the settings keep their order, all as text."""

    prompt: str = ""
    negative_prompt: str = ""
    settings: Mapping[str, str] = field(default_factory=dict)


def format_parameters(prompt: str, negative_prompt: str, settings: Mapping[str, object]) -> str:
    """Compose the text; settings that are None are left out."""
    lines = [prompt] if prompt else []
    if negative_prompt:
        lines.append(f"{_NEGATIVE} {negative_prompt}")
    shown = [f"{name}: {_quoted(value)}" for name, value in settings.items() if value is not None]
    if shown:
        lines.append(", ".join(shown))
    return "\n".join(lines)


def parse_parameters(text: str) -> Parameters:
    """Read the text back; what it does not understand stays in the prompt."""
    lines = text.strip().split("\n")
    settings = _settings(lines[-1])
    if settings:
        lines.pop()
    prompt: list[str] = []
    negative: list[str] | None = None
    for line in lines:
        if negative is None and line.startswith(_NEGATIVE):
            negative = [line[len(_NEGATIVE) :].strip()]
        elif negative is None:
            prompt.append(line)
        else:
            negative.append(line)
    return Parameters("\n".join(prompt), "\n".join(negative or ()), settings)


def _quoted(value: object) -> str:
    text = str(value)
    return json.dumps(text, ensure_ascii=False) if any(mark in text for mark in ',:\n"') else text


def _settings(line: str) -> dict[str, str]:
    found = _SETTING.findall(line) if len(line) <= _MAX_LINE else []
    if len(found) < _MIN_SETTINGS:
        return {}
    return {name: _unquoted(value) for name, value in found}


def _unquoted(value: str) -> str:
    if value.startswith('"') and value.endswith('"'):
        try:
            # Half a surrogate pair can be written in JSON, and in no other text.
            return str(json.loads(value)).encode("utf-8", "replace").decode("utf-8")
        except ValueError:
            return value
    return value.strip()
