"""The OpenAPI document describes what is there, and whatever it lets a client send is answered."""

import os
from collections import Counter

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from tests.serve.serving import Served

EXAMPLES = int(os.environ.get("RETOUCH_FUZZ_CASES", "25"))


def answered(tiny: Served, examples: int) -> Counter[int]:
    """Send every operation so many drawn requests; return how often each status was answered."""
    schema = schemathesis.openapi.from_url(f"{tiny.url}/openapi.json")
    found: Counter[int] = Counter()
    for operation in schema.get_all_operations():
        known = operation.ok()
        if known.path in ("/v1/models/reload",):  # has nothing to draw, and takes a second
            continue

        @settings(
            max_examples=examples,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.generate],
        )
        @given(case=known.as_strategy())
        def ask(case: schemathesis.Case) -> None:
            answer = case.call(timeout=60)
            found[answer.status_code] += 1
            assert answer.status_code < 500 or answer.status_code == 504, (case.as_curl_command(), answer.text)

        ask()
    return found


def test_requests_drawn_from_the_document_are_answered(tiny: Served) -> None:
    found = answered(tiny, EXAMPLES)
    print(f"\n{found.total()} requests: {dict(found)}")
    assert len(found) > 2


@pytest.mark.slow
def test_many_requests_drawn_from_the_document_are_answered(tiny: Served) -> None:
    found = answered(tiny, 10 * EXAMPLES)
    print(f"\n{found.total()} requests: {dict(found)}")


def test_every_route_of_work_is_in_the_document(tiny: Served) -> None:
    from retouch.serve.dialects import dialects

    paths = httpx.get(f"{tiny.url}/openapi.json").json()["paths"]
    for dialect in dialects():
        for route in dialect.work:
            method, path = route.split()
            assert method.lower() in paths[path], route
