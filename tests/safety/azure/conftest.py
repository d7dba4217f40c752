"""What tests of Azure AI Content Safety share."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.safety.azure.service import KEY, ContentSafetyService, running

from retouch.safety.azure.content_safety import AzureContentSafety
from retouch.safety.azure.settings import ContentSafetySettings
from retouch.safety.patience import Patience


@pytest.fixture
def service() -> Iterator[ContentSafetyService]:
    with running() as service:
        yield service


@pytest.fixture
def connected(service: ContentSafetyService) -> Callable[..., AzureContentSafety]:
    """Make what asks the service, with other settings; it pauses for no time, and notes for how long it would."""

    def connect(
        patience: Patience | None = None,
        *,
        pauses: list[float] | None = None,
        clock: Callable[[], float] = time.monotonic,
        **fields: Any,
    ) -> AzureContentSafety:
        settings = ContentSafetySettings(**({"endpoint": service.endpoint, "key": KEY} | fields))
        noted = [] if pauses is None else pauses
        return AzureContentSafety(
            settings, patience=patience or Patience(read_s=2.0), clock=clock, delay=noted.append
        )

    return connect
