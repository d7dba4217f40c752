"""Times one step of a full-size UNet in fp32 and bfloat16: ours, diffusers' channels-last, OpenVINO's.

    python -m benchmarks.precision [--repeats 3] [--side 512] [--priority -19]

The 859,520,964 parameters of Stable Diffusion 1.5 inpainting with random weights, two rows (guidance), all sides
in one process, in turns, after one step of each to warm up. It needs 14 GB of memory, 20 with OpenVINO, which
takes part where it is installed (`pip install openvino`).
"""

import argparse
import copy
import gc
import json
import os
import statistics
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Any

import torch
from benchmarks.busy import processor, raise_priority
from benchmarks.make_full_size import make_unet

from retouch.engine.layers.tuning import Tuning
from retouch.engine.tune import tuned
from retouch.engine.yielding import yielding
from retouch.models.devices import fast_dtypes

Step = Callable[[], torch.Tensor]
Inputs = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


def inputs_of(side: int) -> Inputs:
    """Return latents (2, 9, side / 8, side / 8), timesteps (2,) and text (2, 77, 768)."""
    generator = torch.Generator().manual_seed(0)
    latents = torch.randn(2, 9, side // 8, side // 8, generator=generator)
    text = torch.randn(2, 77, 768, generator=generator)
    return latents.to(memory_format=torch.channels_last), torch.tensor([500.0, 500.0]), text


def step_of(unet: torch.nn.Module, inputs: Inputs, dtype: torch.dtype) -> Step:
    """Return a step in the precision of a UNet, to fp32."""
    latents, timesteps, text = (part.to(dtype) for part in inputs)

    def step() -> torch.Tensor:
        made: torch.Tensor = unet(latents, timesteps, encoder_hidden_states=text, return_dict=False)[0]
        return made.float()

    return step


def openvino_step(unet: torch.nn.Module, inputs: Inputs, precision: str) -> Step:
    """Return a step by OpenVINO, in `f32` or `bf16`, from the same weights."""
    import openvino

    class Plain(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.unet = unet

        def forward(self, latents: torch.Tensor, timesteps: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
            made: torch.Tensor = self.unet(latents, timesteps, text, return_dict=False)[0]
            return made

    latents, timesteps, text = inputs
    given = (latents.contiguous(), timesteps, text)
    model = openvino.convert_model(Plain(), example_input=given)
    compiled = openvino.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": precision})
    arrays = [part.numpy() for part in given]
    return lambda: torch.from_numpy(compiled(arrays)[0].copy())


def sides_of(args: argparse.Namespace) -> dict[str, Step]:
    """Return each side's step; they share weights where precision and layout are the same."""
    torch.manual_seed(0)
    inputs = inputs_of(args.side)
    unet = make_unet().eval().requires_grad_(False)
    sides: dict[str, Step] = {}
    if find_spec("openvino") is not None:
        for precision, name in (("f32", "fp32"), ("bf16", "bf16")):
            sides[f"OpenVINO {name}"] = openvino_step(unet, inputs, precision)
            gc.collect()
    unet.to(memory_format=torch.channels_last)
    half = copy.deepcopy(unet).to(torch.bfloat16)
    tuning = Tuning(owns_residuals=False, threads=torch.get_num_threads())
    for dtype, plain, name in ((torch.float32, unet, "fp32"), (torch.bfloat16, half, "bf16")):
        sides[f"retouch {name}"] = step_of(tuned(plain, tuning), inputs, dtype)
        sides[f"diffusers {name}, channels-last"] = step_of(plain, inputs, dtype)
    return sides


def compare(args: argparse.Namespace) -> dict[str, Any]:
    """Time all sides in turns; return seconds, their ratio to our fp32, and how far the numbers are from it."""
    sides = sides_of(args)
    reference = sides["retouch fp32"]()
    size = float(reference.norm())
    errors = {name: float((step() - reference).norm()) / size for name, step in sides.items()}
    times: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(args.repeats):
        for name, step in sides.items():
            start = time.perf_counter()
            with yielding():
                step()
            times[name].append(time.perf_counter() - start)
    ours = statistics.median(times["retouch fp32"])
    return {
        name: {
            "median_s": round(statistics.median(t), 2),
            "best_s": round(min(t), 2),
            "of_our_fp32": round(statistics.median(t) / ours, 3),
            "relative_error": float(f"{errors[name]:.1e}"),
        }
        for name, t in times.items()
    }


def openvino_version() -> str | None:
    try:
        return version("openvino")
    except PackageNotFoundError:
        return None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--side", type=int, default=512)
    parser.add_argument("--priority", type=int, help="as for busy.py")
    args = parser.parse_args()
    if args.priority is not None:
        raise_priority(args.priority)
    setting = {
        "processor": processor(),
        "cpus": os.cpu_count(),
        "fast_dtypes": fast_dtypes(torch.device("cpu")),
        "versions": {name: version(name) for name in ("torch", "diffusers")} | {"openvino": openvino_version()},
    }
    with torch.inference_mode():
        result = compare(args)
    print(json.dumps({"setting": setting, "result": result}, indent=1))


if __name__ == "__main__":
    main()
