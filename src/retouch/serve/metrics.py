"""What `/metrics` tells: requests, phases, the queue, the engines' calls, verdicts and refusals; fixed labels."""

from collections.abc import Callable, Iterator, Mapping
from typing import get_args

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from retouch.errors import RetouchError
from retouch.result import InpaintResult
from retouch.safety.azure.content_safety import AzureContentSafety, ContentSafetyStats
from retouch.safety.breaker import State
from retouch.serve.admission import Admission
from retouch.serve.fleet import Fleet

_SECONDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)


class Metrics:
    """Counters of one server, in a registry of its own; usable from any thread."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "retouch_requests", "Requests answered.", ("route", "method", "status"), registry=self.registry
        )
        self._seconds = Histogram(
            "retouch_request_seconds", "From a request's headers to its answer.", ("route",), buckets=_SECONDS,
            registry=self.registry,
        )  # fmt: skip
        self._phases = Histogram(
            "retouch_phase_seconds", "Seconds of a request by phase.", ("phase",), buckets=_SECONDS,
            registry=self.registry,
        )  # fmt: skip
        self._verdicts = Counter(
            "retouch_verdicts", "Pictures by what the safety check said.", ("verdict",), registry=self.registry
        )
        self._failures = Counter(
            "retouch_failures", "Work that ended without a picture, by error code.", ("code",),
            registry=self.registry,
        )  # fmt: skip
        self._refusals = Counter(
            "retouch_refusals", "Requests that were not let in, by error code.", ("code",),
            registry=self.registry,
        )  # fmt: skip

        self._batch_rows = Counter(
            "retouch_batch_rows", "Rows of batches by how they ended.", ("status",), registry=self.registry
        )
        self._batches = Counter(
            "retouch_batches", "Batches that ended, by state.", ("state",), registry=self.registry
        )

    def answered(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count an answer. `route` is a route's template, never a path that a client made up."""
        self._requests.labels(route, method, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def finished(self, result: InpaintResult) -> None:
        """Count a result's phases and verdicts."""
        for phase, seconds in result.timings_s.items():
            self._phases.labels(phase).observe(seconds)
        for fill in result.fills:
            self._verdicts.labels(str(fill.safety.get("decision", "off"))).inc()

    def failed(self, error: RetouchError) -> None:
        """Count work that gave no picture."""
        self._failures.labels(error.code).inc()

    def refused(self, error: RetouchError) -> None:
        """Count who was not let in."""
        self._refusals.labels(error.code).inc()

    def kept(self, rows: Mapping[str, int]) -> None:
        """Count rows of batches by how they ended."""
        for status, count in rows.items():
            self._batch_rows.labels(status).inc(count)

    def batch_ended(self, state: str) -> None:
        """Count a batch that came to an end by itself."""
        self._batches.labels(state).inc()

    def text(self) -> bytes:
        """Return all of it in Prometheus' form."""
        return generate_latest(self.registry)

    def watch(self, fleet: Fleet, admission: Admission, *, is_ready: Callable[[], bool]) -> None:
        """Let a look at the engines and the queue be part of every scrape."""
        self.registry.register(_Engines(fleet, admission, is_ready))


class _Engines(Collector):
    """Asks the engines when somebody asks for metrics."""

    def __init__(self, fleet: Fleet, admission: Admission, is_ready: Callable[[], bool]) -> None:
        self._fleet = fleet
        self._admission = admission
        self._is_ready = is_ready

    def collect(self) -> Iterator[Metric]:
        yield _gauge("retouch_ready", "1 while new work is taken.", float(self._is_ready()))
        yield _gauge("retouch_queue_rows", "Pictures under way or waiting.", self._admission.rows)
        yield _gauge("retouch_queue_rows_max", "Pictures that may be under way.", self._admission.most_rows)
        yield _gauge("retouch_queue_bytes", "Memory of bodies and pictures under way.", self._admission.size_bytes)
        calls = CounterMetricFamily("retouch_engine_calls", "Calls of the model.", labels=("device", "kind"))
        rows = CounterMetricFamily(
            "retouch_engine_rows", "Rows in these calls: by calls, the occupancy.", labels=("device", "kind")
        )
        seconds = CounterMetricFamily(
            "retouch_engine_seconds", "Seconds inside the model.", labels=("device", "kind")
        )
        active = GaugeMetricFamily("retouch_engine_active", "Trajectories that take turns.", labels=("device",))
        for inpainter in self._fleet.inpainters:
            device, stats = str(inpainter.bundle.device), inpainter.stats()
            active.add_metric((device,), stats.active)
            for family, values in ((calls, stats.calls), (rows, stats.rows), (seconds, stats.model_s)):
                for kind, value in values.items():
                    family.add_metric((device, kind.value), value)
        yield from (calls, rows, seconds, active)
        for service in {id(one): one for one in self._services()}.values():
            yield from content_safety(service.stats())

    def _services(self) -> Iterator[AzureContentSafety]:
        """Yield who is asked about contents; engines share one."""
        for inpainter in self._fleet.inpainters:
            yield from (one for one in inpainter.screens if isinstance(one, AzureContentSafety))


def content_safety(stats: ContentSafetyStats) -> Iterator[Metric]:
    """Yield what a service was asked, and what came of it."""
    calls = CounterMetricFamily(
        "retouch_content_safety_calls", "Calls of Azure AI Content Safety that were sent.", labels=("kind",)
    )
    calls.add_metric(("text",), stats.text_calls)
    calls.add_metric(("image",), stats.image_calls)
    subjects = CounterMetricFamily(
        "retouch_content_safety_subjects",
        "Texts and pictures that it refused, or could not judge.",
        labels=("end",),
    )
    subjects.add_metric(("refused",), stats.refusals)
    subjects.add_metric(("failed",), stats.failures)
    breaker = GaugeMetricFamily(
        "retouch_content_safety_breaker", "1 for the state that the circuit breaker is in.", labels=("state",)
    )
    for state in get_args(State):
        breaker.add_metric((state,), float(state == stats.breaker))
    yield from (calls, subjects, breaker)


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value=value)
