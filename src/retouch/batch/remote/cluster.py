"""A Ray cluster to paint on: one that runs already, or one of this machine alone, for this run."""

import os
import secrets
import shutil
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, redirect_stdout, suppress
from pathlib import Path
from typing import Any

from retouch.batch.remote.actor import Needs
from retouch.errors import BadInput, MissingExtra, Unavailable

LOCAL = "local"
_OBJECTS_BYTES = 256 * 2**20
"""Shared memory of a cluster of our own: as much as the rows that a pool sends at once."""
_KNOCK_S = 10.0
_PREFIX = "retouch-ray-"
_QUIET = {"log_to_driver": False, "configure_logging": False, "logging_level": "ERROR"}


def check_address(address: str) -> None:
    """Refuse what is no address of a cluster.

    Raises:
        BadInput: it is neither `local` nor `auto` nor `HOST:PORT`.
    """
    host, _, port = address.rpartition(":")
    if address in (LOCAL, "auto") or (host and "/" not in host and port.isdecimal() and int(port) < 2**16):
        return
    raise BadInput(
        f"--ray {address!r} is no address of a Ray cluster",
        hint="HOST:PORT of its head, from one of its nodes; auto; or local, for this machine alone",
    )


@contextmanager
def joined(address: str) -> Iterator[None]:
    """Be a driver of a cluster within the block.

    Args:
        address: `HOST:PORT` or `auto`; `local` starts one of this machine, and ends it.
    Raises:
        MissingExtra: Ray is not installed.
        Unavailable: the cluster is not there.
    """
    kind: AbstractContextManager[dict[str, Any]] = _alone() if address == LOCAL else nullcontext({})
    # Ray tells on stdout what its nodes complain of, and that is for results.
    with redirect_stdout(sys.stderr), kind as how:
        ray = _imported()
        try:
            _knock(address)
            ray.init(address=address, **_QUIET, **how)
        except (OSError, RuntimeError, ValueError) as error:
            raise _not_there(address, error) from error
        try:
            yield
        finally:
            ray.shutdown()


def _not_there(address: str, error: Exception) -> Unavailable:
    if address == LOCAL:
        return Unavailable(f"Ray cannot be started here: {error}")
    return Unavailable(
        f"the Ray cluster at {address} cannot be joined", hint="run this on one of its nodes; is it up?"
    )


def _knock(address: str) -> None:
    """Find out at once whether anybody listens; Ray would try for minutes.

    Raises:
        OSError: nobody does.
    """
    host, _, port = address.rpartition(":")
    if host:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_KNOCK_S).close()


def _imported() -> Any:
    # Nothing is told to anybody; Ray reads it as it is imported.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError as error:
        raise MissingExtra("--ray needs Ray", hint="pip install 'retouch[ray]'") from error
    return ray


@contextmanager
def _alone() -> Iterator[dict[str, Any]]:
    """Give the arguments of `ray.init` for a cluster of this machine and this user alone.

    Who reaches a cluster's ports runs what he likes on it: they are the loopback's, where Ray's switch for systems
    on which it supports no clusters puts them, and ask for a word that only our processes know.
    """
    ours = {
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
    }
    before = {name: os.environ.get(name) for name in ours}
    os.environ.update(ours)
    try:
        with _folder() as folder:
            yield {
                "num_cpus": _cpus(),
                "object_store_memory": _OBJECTS_BYTES,
                "include_dashboard": False,
                "_temp_dir": str(folder),
            }
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


def needs_of(device: str, threads: int | None) -> Needs:
    """Return what an actor needs of a node for a device by its name: a GPU for each, or else so many cores.

    Raises:
        BadInput: the device is one of this machine's.
    """
    import ray

    if device not in ("auto", "cpu", "cuda"):
        raise BadInput(f"--device {device} names a device of this machine", hint="auto, cpu or cuda with --ray")
    has_gpus = ray.cluster_resources().get("GPU", 0) >= 1
    if device == "cuda" or (device == "auto" and has_gpus):
        return Needs(cpus=threads or 1, gpus=1)
    return Needs(cpus=threads or 1)


def places_for(needs: Needs) -> int:
    """Return how many actors the nodes of the cluster have room for.

    Raises:
        BadInput: for none.
    """
    import ray

    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    places = sum(_places(resources, needs) for resources in nodes)
    if places == 0:
        what = f"{needs.cpus} CPUs" + (" and a GPU" if needs.gpus else "")
        raise BadInput(
            f"no node of the Ray cluster has {what}", hint="--threads, --device; or --ray-actors to wait"
        )
    return places


def _places(resources: dict[str, Any], needs: Needs) -> int:
    by_cpus = int(resources.get("CPU", 0) // needs.cpus)
    return min(by_cpus, int(resources.get("GPU", 0) // needs.gpus)) if needs.gpus else by_cpus


def _cpus() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def _folder() -> Iterator[Path]:
    """Give a folder for what Ray writes: with a short name, for its sockets' names are at most 107 bytes long."""
    parent = Path("/tmp" if os.name == "posix" else tempfile.gettempdir())  # noqa: S108 - `mkdtemp` makes it ours
    _sweep(parent)
    folder = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-", dir=parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _sweep(parent: Path) -> None:
    """Remove folders of runs that were killed."""
    for folder in parent.glob(f"{_PREFIX}*"):
        with suppress(OSError, ValueError):
            owner = int(folder.name.removeprefix(_PREFIX).partition("-")[0])
            if folder.stat().st_uid == os.getuid() and not _is_alive(owner):
                shutil.rmtree(folder, ignore_errors=True)


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
