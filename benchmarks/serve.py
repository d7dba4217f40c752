"""Times many clients at once: our server, the same asked one at a time, and a lock around diffusers' pipeline.

    python benchmarks/serve.py [--clients 1 4 16 64] [--pictures 32] [--priority -5]

All sides have the embedded model and answer the same requests: a share of them short (10 steps), the others long
(40 steps), drawn once with a seed. Each side is a server in a process of its own; the sides take turns. A client
sends its next request when it has its last answer; a picture a second is counted from the first request to the
last answer. `in process` is `Inpainter` alone, without a server, for what HTTP costs a lone client.
"""

import argparse
import asyncio
import io
import json
import os
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent))
from busy import processor, raise_priority

ROOT = Path(__file__).parents[1]
SIDE, SHORT, LONG, SHARE_OF_LONG = 256, 10, 40, 0.25


def files(side: int = SIDE, *, seed: int = 0) -> dict[str, bytes]:
    """Return a picture and a mask, transparent where it is repainted, as PNG."""
    pixels = np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)
    alpha = np.full((side, side), 255, np.uint8)
    alpha[side // 4 : -side // 4, side // 4 : -side // 4] = 0
    encoded = {}
    for name, array in (("image", pixels), ("mask", np.dstack((pixels, alpha)))):
        file = io.BytesIO()
        Image.fromarray(array).save(file, "PNG")
        encoded[name] = file.getvalue()
    return encoded


def wrapper(port: int) -> None:
    """Serve diffusers' pipeline as people write it by hand: FastAPI, a pipeline, a lock."""
    import threading

    import torch
    import uvicorn
    from diffusers import StableDiffusionInpaintPipeline
    from fastapi import FastAPI, Form, Response, UploadFile

    pipe = StableDiffusionInpaintPipeline.from_pretrained(
        ROOT / "src/retouch/models/pocket", safety_checker=None, requires_safety_checker=False
    )
    pipe.set_progress_bar_config(disable=True)
    app, lock = FastAPI(), threading.Lock()

    @app.get("/health/ready")
    def ready() -> str:
        return "ready"

    @app.post("/v1/images/edits")
    def edit(
        image: UploadFile,
        mask: UploadFile,
        prompt: str = Form(),
        num_inference_steps: int = Form(),
        seed: int = Form(),
    ) -> Response:
        picture = Image.open(image.file).convert("RGB")
        hole = Image.fromarray(255 - np.asarray(Image.open(mask.file))[..., 3])
        with lock:
            made = pipe(
                prompt,
                image=picture,
                mask_image=hole,
                width=picture.width,
                height=picture.height,
                num_inference_steps=num_inference_steps,
                generator=torch.Generator().manual_seed(seed),
            ).images[0]
        file = io.BytesIO()
        made.save(file, "PNG")
        return Response(file.getvalue(), media_type="image/png")

    uvicorn.run(app, port=port, log_level="warning")


@contextmanager
def running(side: str, *, core: int | None = None, **variables: str) -> Iterator[str]:
    """Run a side's server with more variables of its environment; yield its address once it is ready.

    Args:
        core: the one that all of its threads run on; None is any.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    ours = [sys.executable, "-m", "retouch.cli", "serve", "--port", str(port), "--allow-safety-off"]
    theirs = [sys.executable, __file__, "--wrapper", str(port)]
    folder = tempfile.TemporaryDirectory()
    env = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "RETOUCH_JOBS_FOLDER": folder.name, **variables}
    server = subprocess.Popen(
        theirs if side == "diffusers behind a lock" else ours, env=env, stderr=subprocess.DEVNULL
    )
    if core is not None:
        os.sched_setaffinity(server.pid, {core})
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            try:
                if httpx.get(f"{url}/health/ready").status_code == 200:
                    break
            except httpx.TransportError:
                pass
            if server.poll() is not None:
                raise RuntimeError(f"{side} ended before it was ready")
            time.sleep(0.2)
        yield url
    finally:
        server.terminate()
        server.wait(60)
        folder.cleanup()


async def ask(url: str, steps: list[int], clients: int, *, at_a_time: int) -> dict[str, Any]:
    """Send requests of these steps from so many clients, at most `at_a_time` under way."""
    waiting, turn, sent = iter(enumerate(steps)), asyncio.Semaphore(at_a_time), files()
    times: dict[int, list[float]] = {SHORT: [], LONG: []}

    async def client(http: httpx.AsyncClient) -> None:
        for seed, count in waiting:
            form = {"prompt": "a red apple", "num_inference_steps": count, "seed": seed}
            start = time.perf_counter()
            async with turn:
                answer = await http.post(
                    f"{url}/v1/images/edits",
                    data={key: str(value) for key, value in form.items()},
                    files={name: (f"{name}.png", data) for name, data in sent.items()},
                )
            answer.raise_for_status()
            times[count].append(time.perf_counter() - start)

    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(timeout=600, limits=limits) as http:
        start = time.perf_counter()
        await asyncio.gather(*(client(http) for _ in range(clients)))
        took = time.perf_counter() - start
    report: dict[str, Any] = {"pictures_per_s": len(steps) / took}
    for name, count in (("short", SHORT), ("long", LONG)):
        if found := sorted(times[count]):
            report[name] = {"p50_s": statistics.median(found), "p95_s": found[int(0.95 * (len(found) - 1) + 0.5)]}
    return report


def in_process(steps: list[int]) -> dict[str, Any]:
    """Make the same pictures one after the other without a server."""
    from retouch.engine.settings import EngineSettings
    from retouch.imaging.encode import encode_picture
    from retouch.inpainter import Inpainter
    from retouch.request import InpaintRequest

    sent = files()
    times = []
    with Inpainter.load(settings=EngineSettings()) as inpainter:
        for seed, count in enumerate([SHORT, *steps]):
            start = time.perf_counter()
            request = InpaintRequest(
                "a red apple", sent["image"], sent["mask"], mask_polarity="transparent",
                num_inference_steps=count, seed=max(0, seed - 1),
            )  # fmt: skip
            encode_picture(inpainter.run(request).fills[0].picture)
            times.append(time.perf_counter() - start)
    return {"pictures_per_s": len(steps) / sum(times[1:])}


def compare(args: argparse.Namespace) -> dict[str, Any]:
    """Run the sides in turns for each number of clients."""
    draw = random.Random(1)
    report: dict[str, Any] = {}
    for clients in args.clients:
        count = max(args.pictures, clients)
        steps = [LONG if draw.random() < SHARE_OF_LONG else SHORT for _ in range(count)]
        sides = ["ours", "ours, one at a time", "diffusers behind a lock"]
        runs: dict[str, list[dict[str, Any]]] = {side: [] for side in sides}
        for _ in range(args.repeats):
            for side in sides:
                with running(side) as url:
                    asyncio.run(ask(url, [SHORT, SHORT], 1, at_a_time=1))  # warm
                    at_a_time = 1 if side == "ours, one at a time" else clients
                    runs[side].append(asyncio.run(ask(url, steps, clients, at_a_time=at_a_time)))
                print(f"{clients} clients: {side}: {json.dumps(runs[side][-1])}", file=sys.stderr)
        report[f"{clients} clients"] = {side: _median(made) for side, made in runs.items()}
        if clients == 1:
            report["in process"] = in_process(steps)
    return report


def _median(runs: list[dict[str, Any]]) -> dict[str, Any]:
    return sorted(runs, key=lambda run: run["pictures_per_s"])[len(runs) // 2]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 4, 16, 64])
    parser.add_argument("--pictures", type=int, default=32, help="requests of a run; at least one a client")
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--priority", type=int)
    parser.add_argument("--wrapper", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.wrapper:
        wrapper(args.wrapper)
        return
    if args.priority is not None:
        raise_priority(args.priority)
    setting = {"processor": processor(), "cpus": os.cpu_count()}
    print(json.dumps({"setting": setting, "result": compare(args)}, indent=1))


if __name__ == "__main__":
    main()
