"""The SDK of Azure AI Content Safety, held to our own rules about time, redirects and secrets."""

import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from queue import Empty, Full, LifoQueue
from typing import Any

from retouch.errors import MissingExtra
from retouch.safety.azure.settings import CATEGORIES, ContentSafetySettings
from retouch.safety.patience import FaultKind, Patience, ServiceFault

_IDLE_CLIENTS = 2
_PASSING = {408, 429, 500, 502, 503, 504}
_OURS = {400, 413, 415, 422}
_CODE = re.compile(r"^[A-Za-z0-9_.]{1,64}$")
_FOUR, _EIGHT = "FourSeverityLevels", "EightSeverityLevels"


class Client:
    """Asks the service once; usable from any thread, each call on a connection of its own.

    Raises:
        MissingExtra: the SDK is not installed.
    """

    def __init__(self, settings: ContentSafetySettings, patience: Patience) -> None:
        self._settings = settings
        self._make = _maker(settings, patience)
        self._idle: LifoQueue[Any] = LifoQueue(_IDLE_CLIENTS)

    def text(self, text: str) -> object:
        """Return the answer about a text.

        Raises:
            ServiceFault: there is none.
        """
        from azure.ai.contentsafety.models import AnalyzeTextOptions

        blocklists = list(self._settings.blocklists)
        options = AnalyzeTextOptions(
            text=text,
            categories=list(CATEGORIES),
            blocklist_names=blocklists or None,
            halt_on_blocklist_hit=True if blocklists else None,
            output_type=_EIGHT if self._settings.text_levels == 8 else _FOUR,
        )
        with self._connected() as sdk:
            return sdk.analyze_text(options)

    def image(self, file: bytes) -> object:
        """Return the answer about a picture's file.

        Raises:
            ServiceFault: there is none.
        """
        from azure.ai.contentsafety.models import AnalyzeImageOptions, ImageData

        options = AnalyzeImageOptions(
            image=ImageData(content=file), categories=list(CATEGORIES), output_type=_FOUR
        )
        with self._connected() as sdk:
            return sdk.analyze_image(options)

    @contextmanager
    def _connected(self) -> Iterator[Any]:
        """Lend one of the SDK's clients, which are for one thread at a time; one that failed is not used again."""
        try:
            sdk = self._idle.get_nowait()
        except Empty:
            sdk = self._make()
        try:
            yield sdk
        except Exception as error:  # noqa: BLE001 - whatever it is, there is no answer
            sdk.close()
            # Without the cause: the service's own words may hold what it was asked, and this may be logged.
            raise fault_of(error) from None
        try:
            self._idle.put_nowait(sdk)
        except Full:
            sdk.close()


def fault_of(error: Exception, *, now: Callable[[], float] = time.time) -> ServiceFault:
    """Say what an exception of the SDK means: by type, status and code, never in its own words."""
    from azure.core.exceptions import ServiceRequestError, ServiceResponseError

    status = getattr(error, "status_code", None)
    headers = getattr(getattr(error, "response", None), "headers", None) or {}
    code = str(headers.get("x-ms-error-code", ""))
    said = " ".join(str(part) for part in (type(error).__name__, status, *_CODE.findall(code)) if part)
    is_passing = status in _PASSING or isinstance(error, ServiceRequestError | ServiceResponseError)
    kind: FaultKind = "passing" if is_passing else "ours" if status in _OURS else "lasting"
    return ServiceFault(said, kind, retry_after_s=retry_after_s(headers, now=now))


def retry_after_s(headers: Mapping[str, str], *, now: Callable[[], float]) -> float | None:
    """Return how long a service asks to be left alone: seconds, milliseconds or a date; None where it does not."""
    for name, unit_s in (("retry-after-ms", 0.001), ("x-ms-retry-after-ms", 0.001), ("retry-after", 1.0)):
        value = headers.get(name, "").strip()
        if value.isdecimal() and len(value) < 10:
            return int(value) * unit_s
    try:
        return max(0.0, parsedate_to_datetime(headers.get("retry-after", "")).timestamp() - now())
    except (ValueError, OverflowError):
        return None


def _maker(settings: ContentSafetySettings, patience: Patience) -> Callable[[], Any]:
    try:
        from azure.ai.contentsafety import ContentSafetyClient
        from azure.core.credentials import AzureKeyCredential
    except ImportError as error:
        raise _missing() from error
    key = settings.key
    credential = _managed_identity(settings) if key is None else AzureKeyCredential(key.get_secret_value())

    def make() -> Any:
        return ContentSafetyClient(
            settings.endpoint,
            credential,
            connection_timeout=patience.connect_s,
            read_timeout=patience.read_s,
            retry_total=0,  # `PatientCaller` decides
            permit_redirects=False,  # the SDK would send the key wherever it is told to
            # A proxy of the environment would get the key of an endpoint without TLS.
            use_env_settings=not settings.is_in_clear,
        )

    return make


def _managed_identity(settings: ContentSafetySettings) -> Any:
    try:
        from azure.identity import ManagedIdentityCredential
    except ImportError as error:
        raise _missing() from error
    return ManagedIdentityCredential(client_id=settings.client_id)


def _missing() -> MissingExtra:
    return MissingExtra("Azure AI Content Safety needs its SDK", hint="pip install 'retouch[azure]'")
