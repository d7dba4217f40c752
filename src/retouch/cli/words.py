"""The library's texts in the words of the command line: what is a field there is an option here."""

import re
from collections.abc import Iterable
from dataclasses import fields

from retouch.errors import InvalidField, RetouchError
from retouch.models.options import LoadOptions
from retouch.request import InpaintRequest

_OTHERWISE = {"local_files_only": "offline", "loras": "lora", "embeddings": "embedding"}
_FIELD = re.compile(r"`(\w+)(?:=([^`\s]+))?`")
_UNIT = re.compile("_(px|s)$")


def option_of(name: str) -> str | None:
    """Return the option of a field of a request or of loading, or None for another name."""
    if name not in {field.name for kind in (InpaintRequest, LoadOptions) for field in fields(kind)}:
        return None
    return "--" + _UNIT.sub("", _OTHERWISE.get(name, name)).replace("_", "-")


def spoken(text: str) -> str:
    """Return a text with `field` and `field=value` written as options."""

    def option(found: re.Match[str]) -> str:
        flag = option_of(found[1])
        return found[0] if flag is None else flag if found[2] is None else f"{flag} {found[2]}"

    return _FIELD.sub(option, text)


def spoken_all(texts: Iterable[str]) -> list[str]:
    """Return the texts, each as `spoken`."""
    return [spoken(text) for text in texts]


def message_of(error: RetouchError) -> str:
    """Return an error's message; the field that it begins with is an option, too."""
    text = spoken(str(error))
    if isinstance(error, InvalidField) and (flag := option_of(error.field)):
        return flag + text.removeprefix(error.field)
    return text
