"""Times our engine against diffusers' own pipeline at Stable Diffusion 1.5's full size on an accelerator.

    python benchmarks/gpu.py [--steps 20] [--counts 1 8] [--dtype fp16]

Weights are random and made on the device: times do not depend on what they say. Prints one JSON object: the median
seconds of `count` fills of 512x512 px, as one list for the pipeline and submitted at once to the engine. The
pipeline runs first, in its own layout: the engine lays the shared weights out channels-last.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from typing import Any

import diffusers
import torch
from benchmarks.engine import forgetful, plans_of, run_engine, run_pipe
from benchmarks.make_full_size import SCHEDULER, make_text_encoder, make_unet, make_vae
from diffusers import DDIMScheduler, StableDiffusionInpaintPipeline

from retouch.engine.engine import Engine
from retouch.models.clip_tokenizer import clip_tokenizer
from retouch.models.in_memory import from_pipe

DTYPES = {"fp16": torch.float16, "bf16": torch.bfloat16, "fp32": torch.float32}


def make_pipe(dtype: torch.dtype) -> StableDiffusionInpaintPipeline:
    """Return the pipeline with random weights on the device."""
    torch.manual_seed(0)
    with torch.device("cuda"):
        parts: list[Any] = [make().to(dtype).eval() for make in (make_unet, make_vae, make_text_encoder)]
    unet, vae, text_encoder = parts
    pipe = StableDiffusionInpaintPipeline(
        vae=vae,
        text_encoder=text_encoder,
        tokenizer=clip_tokenizer(),
        unet=unet,
        scheduler=DDIMScheduler(**SCHEDULER),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipe.set_progress_bar_config(disable=True)
    return pipe


def median_s(run: Callable[[], Any], repeats: int) -> float:
    """Return the median seconds of `run`, after one run to warm up."""
    times = []
    for _ in range(repeats + 1):
        torch.cuda.synchronize()
        start = time.perf_counter()
        run()
        torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--side", type=int, default=512)
    parser.add_argument("--counts", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--dtype", choices=sorted(DTYPES), default="fp16")
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    pipe = make_pipe(DTYPES[args.dtype])
    report: dict[str, Any] = {
        "device": torch.cuda.get_device_name(),
        "torch": torch.__version__,
        "diffusers": diffusers.__version__,
        "dtype": args.dtype,
        "steps": args.steps,
        "diffusers_s": {
            n: median_s(lambda n=n: run_pipe(pipe, plans_of(n, args)), args.repeats) for n in args.counts
        },
    }
    with Engine(from_pipe(pipe), forgetful(0)) as engine:
        report["retouch_s"] = {
            n: median_s(lambda n=n: run_engine(engine, plans_of(n, args)), args.repeats) for n in args.counts
        }
    report["ratio"] = {n: report["retouch_s"][n] / report["diffusers_s"][n] for n in args.counts}
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
