"""A reader of the text that A1111's web UI writes, as it reads it (module infotext_utils)."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

_NEGATIVE = "Negative prompt:"
_SETTING = re.compile(r'\s*(\w[\w \-/+]{0,63}):\s*("(?:\\.|[^\\"])*"|[^,]*)(?:,|$)')
_MIN_SETTINGS = 3
"""Fewer on the last line, and it is taken for a part of the prompt, as A1111 does."""


@dataclass(frozen=True, slots=True)
class Parameters:
    """What a `parameters` text holds; the settings keep their order, all as text."""

    prompt: str = ""
    negative_prompt: str = ""
    settings: Mapping[str, str] = field(default_factory=dict)


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


def _settings(line: str) -> dict[str, str]:
    found = _SETTING.findall(line)
    if len(found) < _MIN_SETTINGS:
        return {}
    return {name: _unquoted(value) for name, value in found}


def _unquoted(value: str) -> str:
    if value.startswith('"') and value.endswith('"'):
        try:
            return str(json.loads(value))
        except ValueError:
            return value
    return value.strip()
