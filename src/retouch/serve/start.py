"""From settings to a server: the composition root of `retouch serve`."""

import logging
import os
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from starlette.types import ASGIApp

from retouch.errors import BadInput
from retouch.inpainter import Inpainter
from retouch.jobs.folder import default_jobs_folder
from retouch.jobs.members import Members
from retouch.jobs.sqlite_store import SqliteJobStore
from retouch.jobs.store import JobLimits, JobStore
from retouch.serve.admission import Admission, Bounds
from retouch.serve.app import build_app
from retouch.serve.batches.folders import BatchFolders
from retouch.serve.company import Company
from retouch.serve.entrance import Entrance
from retouch.serve.fetch import Fetcher, FetchLimits
from retouch.serve.fleet import Fleet
from retouch.serve.guards import LOOPBACK_HOSTS
from retouch.serve.keys import Keyring
from retouch.serve.metrics import Metrics
from retouch.serve.server import Server, server_of
from retouch.serve.service import Parts, Service
from retouch.serve.settings import ServeSettings
from retouch.serve.shedding import shedding

log = logging.getLogger(__name__)

_MOST_HANDS = 8


def start(settings: ServeSettings, load: Callable[[], Sequence[Inpainter]]) -> Server:
    """Load and try the engines, and return the server that listens as the settings say, once it is run.

    Args:
        load: makes one engine a device; called again when the weights are loaded again.
    Raises:
        RetouchError: a setting is wrong, or the model cannot be used.
    """
    built = assemble(settings, load, keyring=check(settings))
    return server_of(built.app, built.service, http=shedding(built.entrance))


@dataclass(frozen=True, slots=True)
class Built:
    """The application, what it serves, and the entrance that stands in it."""

    app: ASGIApp
    service: Service
    entrance: Entrance


def assemble(
    settings: ServeSettings,
    load: Callable[[], Sequence[Inpainter]],
    *,
    keyring: Keyring,
    is_shared: bool = False,
    root: str = "",
) -> Built:
    """Load and try the engines, and build the application over them.

    Args:
        load: as for `start`.
        is_shared: the folder of jobs, with other servers that say so, too.
        root: the path below which all of it is served.
    Raises:
        RetouchError: the folder of jobs is not to be had, or the model cannot be used.
    """
    metrics, fleet = Metrics(), Fleet(load)
    bounds = Bounds(
        rows=settings.max_queued_rows,
        size_bytes=settings.max_queued_bytes,
        caller_rows=settings.per_key_rows,
        caller_per_minute=settings.per_key_per_minute,
    )
    admission = Admission(bounds, clock=time.monotonic)
    hands = ThreadPoolExecutor(min(_MOST_HANDS, os.cpu_count() or 1), thread_name_prefix="retouch-hands")
    fetcher = Fetcher(settings.picture_hosts, limits=FetchLimits(size_bytes=settings.image_bytes))
    folder = settings.jobs_folder or default_jobs_folder(os.environ)
    members = Members.join(folder) if is_shared else None
    service = Service(
        Parts(
            settings=settings,
            fleet=fleet,
            admission=admission,
            metrics=metrics,
            hands=hands,
            store=_store(settings, folder, members),
            batch_store=_batch_store(settings, folder / "batches", members),
            batch_folders=BatchFolders(folder / "batches" / "files", is_shared=is_shared),
            fetcher=fetcher,
            company=Company(members),
            root=root,
        )
    )
    metrics.watch(fleet, admission, is_ready=lambda: service.is_ready and service.is_live)
    app, entrance = build_app(service, keyring=keyring)
    return Built(app, service, entrance)


def check(settings: ServeSettings) -> Keyring:
    """Find out, without a model, whether a server would start with these settings; return its keys.

    Raises:
        BadInput: a setting is wrong, or would let everybody in.
    """
    keyring = Keyring()
    if settings.api_keys is not None:
        keyring += Keyring.from_text(settings.api_keys.get_secret_value())
    if settings.api_keys_file is not None:
        keyring += Keyring.from_file(settings.api_keys_file)
    for warning in keyring.warnings:
        log.warning(warning)
    if settings.batch_root is not None and not settings.batch_root.is_dir():
        raise BadInput(f"the batch root {settings.batch_root} is no folder")
    if not keyring and not settings.insecure and settings.host not in LOOPBACK_HOSTS:
        raise BadInput(
            f"on {settings.host} anybody who reaches this machine could use it",
            hint="set keys (--api-keys-file, RETOUCH_API_KEYS), or --insecure",
        )
    return keyring


def _store(settings: ServeSettings, folder: Path, members: Members | None) -> JobStore:
    limits = JobLimits(
        unfinished_per_owner=settings.max_queued_rows,
        total_bytes=settings.job_bytes,
        time_to_live=timedelta(seconds=settings.job_ttl_s),
    )
    return SqliteJobStore.open(folder, limits, members=members)


def _batch_store(settings: ServeSettings, folder: Path, members: Members | None) -> JobStore:
    limits = JobLimits(
        unfinished_per_owner=settings.per_key_batches,
        total_bytes=settings.batch_bytes,
        time_to_live=timedelta(seconds=settings.batch_ttl_s),
        attempts=sys.maxsize,  # a run counts the crashes that came before any row was done
    )
    return SqliteJobStore.open(folder, limits, members=members)
