"""`retouch serve --ray`: deploys replicas, changes them for new ones when told to, and removes them at the end."""

import logging
import os
import queue
import signal
import time
from collections.abc import Callable, Mapping
from types import FrameType

from retouch.batch.remote.cluster import LOCAL, joined
from retouch.errors import BadInput, Unavailable
from retouch.serve.replicas import proxy
from retouch.serve.replicas.replica import Spec, deployment_of
from retouch.serve.replicas.scale import Scale
from retouch.serve.settings import ServeSettings

log = logging.getLogger(__name__)

_LOOK_S = 0.2
_ENDS = (signal.SIGTERM, signal.SIGINT)


class Replicas:
    """The applications of one command on a cluster that was joined, by the paths below which they are served."""

    def __init__(self, specs: Mapping[str, Spec], scale: Scale) -> None:
        self._specs = specs
        self._scale = scale

    def deploy(self) -> None:
        """Start the replicas, or change them in turn for new ones, and wait until they serve.

        Raises:
            Unavailable: they do not come as far as that; those that ran before go on.
        """
        from ray import serve

        for root, spec in self._specs.items():
            try:
                # Each run is another version to Ray, whatever is in it.
                serve.run(deployment_of(spec, self._scale), name=_name(root), route_prefix=root or "/")
            except RuntimeError as error:
                raise Unavailable(f"the replicas did not start: {error}") from error

    def delete(self) -> None:
        """Take nothing more, and let the replicas end what they do; returns at once."""
        from ray import serve

        for root in self._specs:
            serve.delete(_name(root), _blocking=False)

    @property
    def are_gone(self) -> bool:
        """Whether all have ended."""
        from ray import serve

        return not serve.status().applications.keys() & set(map(_name, self._specs))


Plan = Callable[[float], tuple[Mapping[str, Spec], Scale]]
"""What is served, by the path below which it is ("" is the main one), and how often. It is told how many GPUs a
replica has unless somebody said otherwise."""


def run(plan: Plan, *, address: str, device: str) -> None:
    """Serve until told to end.

    SIGHUP changes the replicas in turn for new ones, with the model's files as they are then. The first SIGTERM or
    SIGINT lets them end what they do, for the grace time; a second one ends it now.

    Args:
        plan: asked once the cluster is known.
        address: of a cluster; `local` is one of this machine, for as long as this runs.
        device: `cpu`, `cuda`, or `auto` for what the cluster has.
    Raises:
        MissingExtra, Unavailable: there is no Ray, or no cluster.
        BadInput: the cluster cannot serve as the settings say.
    """
    os.environ.setdefault(proxy.CALLBACK, f"{proxy.__name__}:{proxy.middlewares.__name__}")
    with joined(address):
        specs, scale = plan(_gpus(device))
        settings = specs[""].settings
        _start(settings, scale, is_local=address == LOCAL)
        replicas, signals = Replicas(specs, scale), _heard()
        replicas.deploy()
        log.info("serving at http://%s:%d", settings.host, settings.port)
        while (sign := signals.get()) not in _ENDS:
            assert sign == signal.SIGHUP
            _deploy_again(replicas)
        _end(replicas, signals, within_s=settings.drain_s + 20.0)


def _start(settings: ServeSettings, scale: Scale, *, is_local: bool) -> None:
    """Start Ray Serve on the cluster, where it does not run yet.

    Raises:
        BadInput: it listens elsewhere than the settings say, or the machine has no room for the replicas.
    """
    import ray
    from ray import serve
    from ray.serve.context import _get_global_client

    if is_local:
        room = int(ray.cluster_resources().get("CPU", 0) // scale.cpus)
        if room < scale.least:
            raise BadInput(f"there are cores for {room} replicas", hint="--replicas, --threads, or a cluster")
    wanted = {"host": settings.host, "port": settings.port, "keep_alive_timeout_s": settings.keep_alive_s}
    serve.start(http_options=wanted)
    found = _get_global_client().http_config
    if (found.host, found.port) != (settings.host, settings.port):
        raise BadInput(
            f"Ray Serve listens on {found.host}:{found.port} already", hint="name them as --host and --port"
        )


def _gpus(device: str) -> float:
    import ray

    has_gpus = ray.cluster_resources().get("GPU", 0) >= 1
    return 1.0 if device == "cuda" or (device == "auto" and has_gpus) else 0.0


def _heard() -> "queue.SimpleQueue[int]":
    """Return where signals arrive from now on."""
    signals: queue.SimpleQueue[int] = queue.SimpleQueue()

    def note(sign: int, frame: FrameType | None) -> None:  # noqa: ARG001 - a handler's signature
        signals.put(sign)

    for sign in (*_ENDS, signal.SIGHUP):
        signal.signal(sign, note)
    return signals


def _deploy_again(replicas: Replicas) -> None:
    try:
        replicas.deploy()
        log.info("the replicas were changed")
    except Unavailable as error:
        log.error("the replicas were not changed: %s", error)


def _end(replicas: Replicas, signals: "queue.SimpleQueue[int]", *, within_s: float) -> None:
    log.info("draining")
    replicas.delete()
    deadline = time.monotonic() + within_s
    while not replicas.are_gone and time.monotonic() < deadline:
        try:
            if signals.get(timeout=_LOOK_S) in _ENDS:
                return
        except queue.Empty:
            continue


def _name(root: str) -> str:
    """Return what an application is called on the cluster."""
    return "retouch" + root.replace("/", "-")
