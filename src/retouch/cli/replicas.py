"""`retouch serve --ray`: replicas on a Ray cluster, from the options of the command or of a RayService's file."""

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

from retouch.cli.loading import Checkpoint
from retouch.cli.safeguards import Safeguards
from retouch.errors import BadInput

if TYPE_CHECKING:
    from retouch.inpainter import Inpainter
    from retouch.serve.replicas.replica import Spec
    from retouch.serve.replicas.scale import Scale
    from retouch.serve.settings import ServeSettings

_OPTIONS = ("replicas", "replica_gpus", "replica_rows", "max_queued_requests", "also")
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")


@dataclass(frozen=True, slots=True)
class Load:
    """What loads the engines of a server: plain values, for this process or another."""

    checkpoints: Sequence[Checkpoint]
    settings: "ServeSettings"
    safeguards: Safeguards

    @classmethod
    def of(cls, checkpoints: Sequence[Checkpoint], settings: "ServeSettings") -> Self:
        """Read what the settings say of safeguards, and the environment where they ask for it."""
        asked = {"screen_input": settings.screen_input, "content_safety": settings.content_safety}
        told = settings.model_copy(update={"api_keys": None})
        return cls(checkpoints, told, Safeguards.of(**asked, safety=settings.safety))

    def __call__(self) -> "list[Inpainter]":
        from retouch.engine.settings import EngineSettings

        engine = EngineSettings(rows_per_call=self.settings.rows_per_call)
        limits, guarded = self.settings.limits(), self.safeguards.arguments()
        return [one.load(settings=engine, limits=limits, **guarded) for one in self.checkpoints]


def check_alone(given: Mapping[str, Any]) -> None:
    """Refuse the options of replicas where there are none.

    Raises:
        BadInput: one was given.
    """
    for name in _OPTIONS:
        if given[name] is not None:
            option = f"--{name.replace('_', '-')}"
            raise BadInput(f"{option} has no effect without --ray", hint="leave it out, or name both")


def as_replicas(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options with as many replicas as there would be engines of one kind, where no option says."""
    devices = given["device"].split(",")
    if len(set(devices)) > 1 or len(devices) == 1:
        return {**given}
    return {**given, "device": devices[0], "replicas": given["replicas"] or str(len(devices))}


def check_cluster(given: Mapping[str, Any]) -> None:
    """Refuse what can be refused before there is a cluster.

    Raises:
        BadInput: an option of replicas is wrong, or one that replicas cannot have.
    """
    from retouch.batch.remote.cluster import check_address

    check_address(given["ray"])
    if given["device"] not in ("auto", "cpu", "cuda"):
        raise BadInput("--device names a device of this machine", hint="auto, cpu or cuda with --ray")
    _scale(given, gpus=0.0)
    _others(given)


def run_replicas(given: Mapping[str, Any], settings: "ServeSettings") -> None:
    """Serve on a cluster until told to end."""
    from retouch.serve.replicas.run import run

    run(lambda gpus: specs(given, settings, gpus=gpus), address=given["ray"], device=given["device"])


def specs(given: Mapping[str, Any], settings: "ServeSettings", *, gpus: float) -> "tuple[dict[str, Spec], Scale]":
    """Return what is served, by the path below which it is, and how often.

    Args:
        gpus: of a replica, where no option says.
    Raises:
        BadInput, ModelError: an option is wrong.
    """
    from retouch.serve.replicas.replica import Spec
    from retouch.serve.start import check

    scale = _scale(given, gpus=gpus)
    device = "cuda" if scale.gpus else "cpu"
    there = replace(Checkpoint.of(given), device=device, threads=None if scale.gpus else scale.cpus)
    main = Spec.of(_load(there, settings), settings, check(settings))
    found = {"": main}
    for name, (model, loras) in _others(given).items():
        other = replace(there, model=model, lora=loras)
        found[f"/models/{name}"] = main.below(name, _load(other, settings))
    return found, scale


def application(args: Mapping[str, Any]) -> Any:
    """Return the application of Ray Serve for the `args` of a config: options of `retouch serve` by their names.

    `import_path: retouch.cli.replicas:application`. What the config says of the deployment itself comes before
    what the options say; options that it does not name come from variables, as ever.

    Args:
        args: options; `root` is the config's `route_prefix`, where that is not `/`.
    Raises:
        BadInput, ModelError: one is unknown or wrong.
    """
    from retouch.cli.serve import serve, settings_of
    from retouch.serve.replicas.replica import deployment_of

    options = {name: one for name, one in args.items() if name != "root"}
    defaults = {name: one.default for name, one in inspect.signature(serve).parameters.items()}
    if unknown := options.keys() - defaults.keys():
        raise BadInput(f"retouch serve has no option {min(unknown)!r}", hint="names have underscores here")
    given = {**defaults, **options}
    found, scale = specs(given, settings_of(given), gpus=0.0)
    return deployment_of(replace(found[""], root=args.get("root", "")), scale)


def _load(checkpoint: Checkpoint, settings: "ServeSettings") -> "Callable[[], Sequence[Inpainter]]":
    checkpoint.check()
    return Load.of([checkpoint], settings)


def _scale(given: Mapping[str, Any], *, gpus: float) -> "Scale":
    from retouch.serve.replicas.scale import Scale

    more = {
        "gpus": gpus if given["replica_gpus"] is None else given["replica_gpus"],
        "cpus": given["threads"] or 1,
        "rows": given["replica_rows"],
        "queued": given["max_queued_requests"],
    }
    return Scale.of(given["replicas"] or "1", **{name: one for name, one in more.items() if one is not None})


def _others(given: Mapping[str, Any]) -> dict[str, tuple[str, list[str]]]:
    """Read `NAME=CHECKPOINT`s, each with LoRAs behind commas.

    Raises:
        BadInput: one is none, or two have one name.
    """
    found: dict[str, tuple[str, list[str]]] = {}
    for one in given["also"] or ():
        name, _, rest = one.partition("=")
        model, *loras = rest.split(",")
        if not _NAME.fullmatch(name) or not model or name in found:
            raise BadInput(
                f"--also {one!r} is no model",
                hint="NAME=CHECKPOINT[,LORA...], each NAME once, of a-z, 0-9 and dashes",
            )
        found[name] = (model, loras)
    return found
