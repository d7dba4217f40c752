"""OpenTelemetry gets a span of each request, and nothing of what was sent."""

import httpx
import pytest
from tests.serve.serving import Served
from tests.serve.test_load import FILES, form

trace = pytest.importorskip("opentelemetry.sdk.trace")


def test_a_span_tells_the_route_and_never_the_prompt(tiny: Served) -> None:
    from opentelemetry import trace as api
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    exporter = InMemorySpanExporter()
    provider = trace.TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    api.set_tracer_provider(provider)
    secret = {"prompt": "a very secret cat"}
    httpx.post(f"{tiny.url}/v1/images/edits", data=form(1) | secret, files=FILES, timeout=60)
    httpx.post(f"{tiny.url}/v1/images/edits", data=form(999) | secret, files=FILES, timeout=60)
    spans = exporter.get_finished_spans()
    told = "".join(span.to_json() for span in spans)
    assert "/v1/images/edits" in told
    assert "secret" not in told
