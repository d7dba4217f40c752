"""The limits of a request as this machine's environment sets them: `RETOUCH_LIMIT_IMAGE_PIXELS` and its like."""

import os
from functools import cache
from typing import TYPE_CHECKING

from retouch.errors import BadInput
from retouch.request import DEFAULT_LIMITS, Limits

if TYPE_CHECKING:
    from pydantic_settings import BaseSettings

PREFIX = "RETOUCH_LIMIT_"


def limits() -> Limits:
    """Return the default limits with what the environment sets instead, one variable for each field of `Limits`.

    Raises:
        BadInput: a variable is no number above 0, or names no limit.
    """
    from pydantic import ValidationError

    settings = _settings()
    known = {f"{PREFIX}{name}".upper() for name in settings.model_fields}
    for name in os.environ:
        if name.upper().startswith(PREFIX) and name.upper() not in known:
            raise BadInput(f"{name} names no limit", hint=f"known: {', '.join(sorted(known))}")
    try:
        return Limits(**settings().model_dump())
    except ValidationError as error:
        wrong = error.errors()[0]
        variable = f"{PREFIX}{wrong['loc'][0]}".upper()
        raise BadInput(f"{variable} is {wrong['input']!r}", hint="it must be a number above 0") from error


@cache
def _settings() -> "type[BaseSettings]":
    """Make the settings class from `Limits`, so that names and defaults stand once; pydantic is imported here."""
    from dataclasses import fields

    from pydantic import Field, create_model
    from pydantic_settings import BaseSettings, SettingsConfigDict

    class Base(BaseSettings):
        model_config = SettingsConfigDict(env_prefix=PREFIX)

    defaults = {
        field.name: (type(getattr(DEFAULT_LIMITS, field.name)), Field(getattr(DEFAULT_LIMITS, field.name), gt=0))
        for field in fields(Limits)
    }
    made: type[BaseSettings] = create_model("LimitSettings", __base__=Base, **defaults)  # type: ignore[call-overload]
    return made
