"""How Azure AI Content Safety is reached and what it refuses, under the names that Azure's deployments use."""

import os
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from retouch.errors import BadInput

PREFIX = "CONTENT_SAFETY_"
CLIENT_ID = "UAI_CLIENT_ID"
CATEGORIES = {"Hate": "hate", "SelfHarm": "self_harm", "Sexual": "sexual", "Violence": "violence"}
"""Azure's name of each category, and ours."""
DEFAULT_THRESHOLD = 2
_NOT_NEEDED = {"CONTENT_SAFETY_ACCOUNT_NAME"}
"""Azure's samples fetch the key by it; a token of the managed identity needs no key."""

Threshold = Annotated[int, Field(ge=1, le=7)]
Levels = Literal[4, 8]
BlocklistName = Annotated[str, Field(pattern=r"^[0-9A-Za-z._~-]{1,64}$")]


def _names(value: object) -> object:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def _number(value: object) -> object:
    return int(value) if isinstance(value, str) and value.strip() in ("4", "8") else value


class ContentSafetySettings(BaseSettings):
    """What a deployment sets; each field is also a variable `CONTENT_SAFETY_<FIELD>`, `client_id` `UAI_CLIENT_ID`.

    Attributes:
        endpoint: `https://<name>.cognitiveservices.azure.com`; without TLS only on this machine.
        key: of the account; it comes before `client_id`.
        client_id: of the managed identity that may use the account, where there is no key.
        threshold: a severity at or above it is refused: 1..7, on the scale of eight levels.
        threshold_hate, threshold_self_harm, threshold_sexual, threshold_violence: the same for one category.
        text_levels: severities of texts: 4 (0, 2, 4, 6) or 8 (0 to 7). Those of pictures are always 4.
        blocklists: names of the account's lists of terms, separated by commas; a hit is a refusal.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_ignore_empty=True,
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        str_strip_whitespace=True,
    )

    endpoint: str
    key: SecretStr | None = None
    client_id: str | None = None
    threshold: Threshold = DEFAULT_THRESHOLD
    threshold_hate: Threshold | None = None
    threshold_self_harm: Threshold | None = None
    threshold_sexual: Threshold | None = None
    threshold_violence: Threshold | None = None
    text_levels: Annotated[Levels, BeforeValidator(_number)] = 4
    blocklists: Annotated[tuple[BlocklistName, ...], NoDecode, BeforeValidator(_names)] = ()

    @classmethod
    def from_environment(cls) -> Self:
        """Read the variables; half a configuration is an error, never a check that is silently off.

        Raises:
            BadInput: a variable is missing, wrong, or names no setting.
        """
        known = {f"{PREFIX}{name}".upper() for name in cls.model_fields} | _NOT_NEEDED
        for name in os.environ:
            if name.upper().startswith(PREFIX) and name.upper() not in known:
                raise BadInput(f"{name} names no setting", hint=f"known: {', '.join(sorted(known))}")
        given: dict[str, Any] = {"client_id": os.environ[CLIENT_ID]} if os.environ.get(CLIENT_ID) else {}
        try:
            return cls(**given)
        except ValidationError as error:
            raise _in_variables(error.errors(include_input=False, include_url=False)[0]) from None

    @field_validator("endpoint")
    @classmethod
    def _sends_nothing_in_clear(cls, endpoint: str) -> str:
        parts = urlsplit(endpoint)
        if not parts.hostname or parts.query or parts.fragment or "@" in parts.netloc:
            raise ValueError("must be the account's address, as in https://<name>.cognitiveservices.azure.com")
        if parts.scheme != "https" and not (parts.scheme == "http" and _is_loopback(parts.hostname)):
            raise ValueError("must begin with https://: the key would be sent in clear")
        return endpoint.rstrip("/")

    @field_validator("key")
    @classmethod
    def _fits_a_header(cls, key: SecretStr | None) -> SecretStr | None:
        text = "" if key is None else key.get_secret_value().strip()
        if not all("!" <= char <= "~" for char in text):
            raise ValueError("holds characters that no key has")
        return SecretStr(text) if text else None

    @model_validator(mode="after")
    def _can_log_in(self) -> Self:
        if self.key is None and not self.client_id:
            raise ValueError(f"needs {PREFIX}KEY, or {CLIENT_ID} for a managed identity")
        return self

    @property
    def is_in_clear(self) -> bool:
        """Whether there is no TLS, as to a container on this machine."""
        return urlsplit(self.endpoint).scheme == "http"

    @property
    def thresholds(self) -> Mapping[str, int]:
        """The threshold of each of Azure's categories."""
        return {
            azures: getattr(self, f"threshold_{ours}") or self.threshold for azures, ours in CATEGORIES.items()
        }


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _in_variables(wrong: Any) -> BadInput:
    """Say pydantic's complaint with the variable's name, and without its value."""
    field = str(wrong["loc"][0]) if wrong["loc"] else ""
    variable = f"{PREFIX}{field}".upper() if field else "Azure AI Content Safety"
    said = "is not set" if wrong["type"] == "missing" else wrong["msg"].removeprefix("Value error, ")
    return BadInput(f"{variable}: {said}", hint="docs/responsible-use.md lists the variables")
