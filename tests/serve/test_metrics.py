"""What `/metrics` says of who is asked about contents."""

from collections.abc import Callable
from typing import Any

from tests.safety.azure.conftest import connected, service
from tests.safety.azure.service import ContentSafetyService
from tests.safety.red import grey

from retouch.request import InpaintRequest
from retouch.safety.azure.content_safety import AzureContentSafety
from retouch.serve.metrics import content_safety

__all__ = ["connected", "service"]


def test_calls_refusals_and_failures_stand_under_fixed_labels(
    connected: Callable[..., AzureContentSafety], service: ContentSafetyService
) -> None:
    asked = connected()
    asked.screen(InpaintRequest("a red apple", grey()))
    asked.screen(InpaintRequest("violence6", grey()))
    found: dict[tuple[str, str], Any] = {
        (sample.name, next(iter(sample.labels.values()))): sample.value
        for family in content_safety(asked.stats())
        for sample in family.samples
    }
    assert found == {
        ("retouch_content_safety_calls_total", "text"): 2,
        ("retouch_content_safety_calls_total", "image"): 0,
        ("retouch_content_safety_subjects_total", "refused"): 1,
        ("retouch_content_safety_subjects_total", "failed"): 0,
        ("retouch_content_safety_breaker", "closed"): 1,
        ("retouch_content_safety_breaker", "open"): 0,
        ("retouch_content_safety_breaker", "half_open"): 0,
    }
