"""The other servers that share a store: what they are told and tell, and the work of those that are gone."""

import asyncio
import json
import logging
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from retouch.errors import RetouchError
from retouch.jobs.members import Members
from retouch.serve.metrics import Metrics

if TYPE_CHECKING:
    from retouch.serve.service import Service

log = logging.getLogger(__name__)

_BEAT_S = 0.5


class Company:
    """The others, seen from one server; none for a server that has its store alone.

    Attributes:
        progress: of jobs that others do, by their ids, as of the last beat.
    """

    def __init__(self, members: Members | None = None) -> None:
        self._members = members
        self.progress: Mapping[str, dict[str, Any]] = {}
        self._beating: asyncio.Task[None] | None = None

    @property
    def is_shared(self) -> bool:
        return self._members is not None

    def open(self, service: "Service") -> None:
        """From now on see to what the others leave, heed what they were asked, and tell them how far we are."""
        if self._members is not None:
            self._beating = asyncio.create_task(self._beat_on(service, self._members), name="retouch-beat")

    def stop(self) -> None:
        """Take over nothing more, and tell nothing."""
        if self._beating is not None:
            self._beating.cancel()

    def leave(self) -> None:
        """Let the others have what we did not end."""
        if self._members is not None:
            self._members.leave()

    async def tidy(self) -> None:
        """Remove what those left that are gone."""
        if self._members is not None:
            try:
                await asyncio.to_thread(self._members.sweep)
            except RetouchError as error:
                log.error("the folder of servers was not tidied: %s", error)

    def metrics(self, ours: Metrics) -> bytes:
        """Return the metrics of all servers in Prometheus' form, those of several with a label `replica`."""
        if self._members is None:
            return ours.text()
        return merged({**self._members.told("metrics"), self._members.id: ours.text()})

    async def _beat_on(self, service: "Service", members: Members) -> None:
        while True:
            await asyncio.sleep(_BEAT_S)
            try:
                await self._beat(service, members)
            except RetouchError as error:
                log.error("the other servers were not looked at: %s", error)
            except Exception:  # nobody would begin again, and the jobs of those that are gone would wait for ever
                log.exception("the other servers were not looked at")

    async def _beat(self, service: "Service", members: Members) -> None:
        if service.is_ready:
            await service.desk.recover(resume=service.settings.resume_jobs)
            await service.batches.recover()
        await service.desk.heed()
        await service.batches.heed()
        ours = json.dumps(service.desk.progress()).encode()

        def exchange() -> dict[str, dict[str, Any]]:
            members.tell("progress", ours)
            members.tell("metrics", service.metrics.text())
            theirs = map(_progress, members.told("progress").values())
            return {job_id: progress for told in theirs for job_id, progress in told.items()}

        self.progress = await asyncio.to_thread(exchange)


def _progress(told: bytes) -> dict[str, dict[str, Any]]:
    """Read what another told; nothing where its file is not whole, as one of a machine that lost its power."""
    try:
        progress = json.loads(told)
    except ValueError:
        return {}
    return progress if isinstance(progress, dict) else {}


def merged(texts: Mapping[str, bytes]) -> bytes:
    """Return the metrics of several replicas, by their names, as one text."""
    families: dict[str, Metric] = {}
    for replica, text in texts.items():
        for family in text_string_to_metric_families(text.decode()):
            into = families.setdefault(family.name, Metric(family.name, family.documentation, family.type))
            into.samples += [one._replace(labels={**one.labels, "replica": replica}) for one in family.samples]
    registry = CollectorRegistry()
    registry.register(_Told(families))
    return generate_latest(registry)


class _Told(Collector):
    def __init__(self, families: Mapping[str, Metric]) -> None:
        self._families = families

    def collect(self) -> Iterator[Metric]:
        yield from self._families.values()
