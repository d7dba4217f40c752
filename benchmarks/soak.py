"""Loads a server for a long time with all that users do to one, and counts whether anything was lost or grew.

    python benchmarks/soak.py [--minutes 30] [--model FOLDER] [--clients 6]

Clients draw what they do: pictures in every dialect, jobs that they follow, cancel or forget, requests that they
hang up on, bodies that are broken. Prompts and pictures are screened by a stand-in of Azure AI Content Safety on
this machine that throttles, fails and breaks off at times. After a twentieth of the time the server gets SIGTERM,
after a tenth SIGKILL, and is started again. At the end every job that was accepted must be in a final state
(accepted = answered + interrupted), no answer may have been 500, and memory, file descriptors beside its clients'
connections, and threads of the last process may not rise: the slope over the last two thirds of its time is
printed with its 95 % interval, and what the process holds before the first client came and after the last one
left.
"""

import argparse
import asyncio
import io
import json
import math
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from base64 import b64encode
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import numpy as np
import psutil
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parent))
from tests.safety.azure.service import KEY, ContentSafetyService, drop, error
from tests.safety.azure.service import running as content_safety

from busy import processor
from serve import files

ROOT = Path(__file__).parents[1]
LATER = {"prefer": "respond-async"}
SETTLE_S = 30.0
FINAL = {"done", "failed", "blocked", "cancelled", "interrupted", "expired"}


class Sample(NamedTuple):
    """What the server held at a moment. Its connections are its clients', who open and leave them as they like."""

    when: float
    rss_mib: float
    fds: int
    connections: int
    threads: int


@dataclass
class Server:
    """`retouch serve` in a process that is ended and started again."""

    model: str | None
    folder: Path
    port: int
    screen: ContentSafetyService
    log: Path
    process: subprocess.Popen[bytes] | None = None
    ready: Sample | None = None
    samples: list[Sample] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        command = [sys.executable, "-m", "retouch.cli", "serve", "--port", str(self.port)]
        command += ["--jobs-folder", str(self.folder), "--limit", "job_ttl_s=7200", "--allow-safety-off"]
        command += ["--content-safety", "--screen-input"]
        command += ["--model", self.model] if self.model else []
        asked = {"CONTENT_SAFETY_ENDPOINT": self.screen.endpoint, "CONTENT_SAFETY_KEY": KEY}
        env = {**os.environ, "PYTHONPATH": str(ROOT / "src"), **asked}
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, env=env, stderr=log)
        self.samples = []
        while True:
            try:
                if httpx.get(f"{self.url}/health/ready").status_code == 200:
                    self.ready = self.look()
                    return
            except httpx.TransportError:
                pass
            assert self.process.poll() is None, "the server ended before it was ready"
            time.sleep(0.2)

    def end(self, signal_: int) -> int:
        assert self.process is not None
        self.process.send_signal(signal_)
        return self.process.wait(60)

    def sample(self) -> None:
        self.samples.append(self.look())

    def look(self) -> Sample:
        assert self.process is not None
        seen = psutil.Process(self.process.pid)
        with seen.oneshot():
            connections = [one for one in seen.net_connections("tcp") if one.laddr.port == self.port and one.raddr]
            return Sample(
                time.monotonic(),
                seen.memory_info().rss / 2**20,
                seen.num_fds() - len(connections),
                len(connections),
                seen.num_threads(),
            )


def hole() -> bytes:
    """Return the mask of `files`, white where it is repainted."""
    with Image.open(io.BytesIO(files()["mask"])) as mask:
        white = Image.fromarray(255 - np.asarray(mask)[..., 3])
    file = io.BytesIO()
    white.save(file, "PNG")
    return file.getvalue()


@dataclass
class Tally:
    """What happened."""

    answers: Counter[str] = field(default_factory=Counter)
    accepted: set[str] = field(default_factory=set)
    lost_connections: int = 0


class Clients:
    """Draws what clients do."""

    def __init__(self, server: Server, seed: int) -> None:
        self.server, self.draw, self.tally = server, random.Random(seed), Tally()
        self.sent = files()
        self.hole = hole()

    async def go_on(self, until: float) -> None:
        acts = [self.edit, self.stream, self.score, self.a1111, self.wait, self.job, self.job, self.cancel]
        acts += [self.hang_up, self.break_body, self.look, self.throttle]
        async with httpx.AsyncClient(base_url=self.server.url, timeout=180) as http:
            while time.monotonic() < until:
                act = self.draw.choice(acts)
                try:
                    await act(http)
                except (httpx.TransportError, OSError):
                    self.tally.lost_connections += 1
                    await asyncio.sleep(0.5)

    def form(self) -> dict[str, str]:
        steps = self.draw.choice([1, 2, 4, 8])
        return {"prompt": self.draw.choice(["a red apple", "a cup"]), "num_inference_steps": str(steps)}

    def count(self, act: str, answer: httpx.Response) -> None:
        self.tally.answers[f"{act} {answer.status_code}"] += 1

    async def edit(self, http: httpx.AsyncClient) -> None:
        self.count("openai", await http.post("/v1/images/edits", data=self.form(), files=self.sent))

    async def stream(self, http: httpx.AsyncClient) -> None:
        asked = self.form() | {"stream": "true", "partial_images": "2"}
        self.count("openai stream", await http.post("/v1/images/edits", data=asked, files=self.sent))

    async def score(self, http: httpx.AsyncClient) -> None:
        image, mask = (b64encode(one).decode() for one in (self.sent["image"], self.hole))
        rows = [
            [image, mask, self.draw.choice(["a red apple", "violence6"])] for _ in range(self.draw.choice([1, 3]))
        ]
        table = {"columns": ["image", "mask", "prompt"], "index": [*range(len(rows))], "data": rows}
        asked = {"input_data": table, "params": {"num_inference_steps": self.draw.choice([1, 2, 4])}}
        self.count("score", await http.post("/score", json=asked))

    async def a1111(self, http: httpx.AsyncClient) -> None:
        image, mask = (b64encode(one).decode() for one in (self.sent["image"], self.hole))
        asked = {
            "init_images": [image],
            "mask": mask,
            "prompt": "a (red:1.2) apple",
            "steps": self.draw.choice([1, 4]),
        }
        self.count("a1111", await http.post("/sdapi/v1/img2img", json=asked | {"denoising_strength": 1.0}))

    async def throttle(self, _http: httpx.AsyncClient) -> None:
        """Let the content safety service answer the next calls with anything but a verdict."""
        fault = self.draw.choice([error(429, "TooManyRequests", Retry_After="1"), error(503, "Busy"), drop])
        self.server.screen.script.extend([fault] * self.draw.randint(1, 6))
        self.tally.answers["throttled"] += 1
        await asyncio.sleep(10)

    async def wait(self, http: httpx.AsyncClient) -> None:
        self.count("native", await http.post("/v1/inpaint", data=self.form() | self.own(), files=self.pictures()))

    async def submit(self, http: httpx.AsyncClient) -> str | None:
        answer = await http.post(
            "/v1/inpaint", data=self.form() | self.own(), files=self.pictures(), headers=LATER
        )
        self.count("job", answer)
        if answer.status_code != 202:
            return None
        self.tally.accepted.add(answer.json()["id"])
        return str(answer.headers["location"])

    async def job(self, http: httpx.AsyncClient) -> None:
        place = await self.submit(http)
        if place is not None and self.draw.random() < 0.7:  # the others are forgotten
            answer = await http.get(f"{place}/events", params={"previews": "true"})
            self.tally.answers[f"events {answer.text.rstrip().rsplit('event: ', 1)[-1].split()[0]}"] += 1

    async def cancel(self, http: httpx.AsyncClient) -> None:
        place = await self.submit(http)
        if place is not None:
            await asyncio.sleep(self.draw.random())
            self.count("cancel", await http.delete(place))

    async def hang_up(self, http: httpx.AsyncClient) -> None:
        request = http.build_request("POST", "/v1/inpaint", data=self.form() | self.own(), files=self.pictures())
        head = "\r\n".join(["POST /v1/inpaint HTTP/1.1", *(f"{k}: {v}" for k, v in request.headers.items())])
        _, writer = await asyncio.open_connection("127.0.0.1", self.server.port)
        writer.write(head.encode() + b"\r\n\r\n" + request.read())
        await writer.drain()
        await asyncio.sleep(self.draw.random())
        writer.close()
        self.tally.answers["hung up"] += 1

    async def break_body(self, http: httpx.AsyncClient) -> None:
        request = http.build_request("POST", "/v1/inpaint", data=self.form() | self.own(), files=self.pictures())
        broken = bytearray(request.read())
        for _ in range(self.draw.randint(1, 30)):
            broken[self.draw.randrange(len(broken))] = self.draw.randrange(256)
        kind = {"content-type": request.headers["content-type"]}
        self.count("broken", await http.post("/v1/inpaint", content=bytes(broken), headers=kind))

    async def look(self, http: httpx.AsyncClient) -> None:
        for path in ("/v1/jobs", "/metrics", "/health/live", "/v1/jobs/job_x"):
            self.count("look", await http.get(path))

    def own(self) -> dict[str, str]:
        return {"mask_polarity": "transparent", "safety": self.draw.choice(["black", "off"])}

    def pictures(self) -> dict[str, bytes]:
        return {"image": self.sent["image"], "mask_image": self.sent["mask"]}


def slope(times: list[float], values: list[float]) -> dict[str, float]:
    """Return the least-squares slope an hour, and half its 95 % interval, widened by how alike neighbours are."""
    t, v = np.asarray(times) / 3600, np.asarray(values, float)
    t = t - t.mean()
    rise = float((t * v).sum() / (t**2).sum())
    rest = v - v.mean() - rise * t
    likeness = float(np.clip((rest[1:] * rest[:-1]).sum() / max((rest**2).sum(), 1e-12), 0, 0.99))
    spread = math.sqrt(float((rest**2).sum()) / max(len(v) - 2, 1) / float((t**2).sum()))
    return {"an_hour": rise, "plus_minus": 1.96 * spread * math.sqrt((1 + likeness) / (1 - likeness))}


async def soak(server: Server, minutes: float, clients: int) -> dict[str, Any]:
    """Load the server; end it twice."""
    everybody = Clients(server, seed=1)
    began = time.monotonic()
    until = began + 60 * minutes
    tasks = [asyncio.create_task(everybody.go_on(until)) for _ in range(clients)]
    ends = [(began + 3 * minutes, signal.SIGTERM), (began + 6 * minutes, signal.SIGKILL)]
    codes = []
    while time.monotonic() < until:
        await asyncio.sleep(1)
        server.sample()
        if ends and time.monotonic() > ends[0][0]:
            codes.append(await asyncio.to_thread(server.end, ends.pop(0)[1]))
            await asyncio.to_thread(server.start)
    await asyncio.gather(*tasks)
    states: Counter[str] = Counter()
    async with httpx.AsyncClient(base_url=server.url, timeout=60) as http:
        for job in everybody.tally.accepted:
            while True:
                answer = await http.get(f"/v1/jobs/{job}")
                state = answer.json()["state"] if answer.status_code == 200 else f"status {answer.status_code}"
                if state not in ("queued", "running"):
                    break
                await asyncio.sleep(0.2)
            states[state] += 1
    await asyncio.sleep(SETTLE_S)  # the clients are gone: what is held now, nobody holds
    server.sample()
    *under_load, left = server.samples
    assert server.ready is not None
    last = under_load[len(under_load) // 3 :]
    times = [one.when for one in last]
    by_name = {name: [getattr(one, name) for one in last] for name in Sample._fields[1:]}
    return {
        "exit_codes": codes,
        "answers": dict(sorted(everybody.tally.answers.items())),
        "server_errors": sum(n for name, n in everybody.tally.answers.items() if name.endswith(" 500")),
        "lost_connections": everybody.tally.lost_connections,
        "accepted": len(everybody.tally.accepted),
        "ended": dict(states),
        "accounted_for": sum(n for state, n in states.items() if state in FINAL),
        **{name: slope(times, held) | {"at_end": held[-1]} for name, held in by_name.items()},
        "without_clients": {"at_start": server.ready._asdict(), "at_end": left._asdict()},
        "sampled_s": times[-1] - times[0],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--model")
    parser.add_argument("--log", type=Path, help="a file that keeps what the server logs")
    parser.add_argument("--clients", type=int, default=6)
    args = parser.parse_args()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder, content_safety() as screen:
        server = Server(args.model, Path(folder) / "jobs", port, screen, args.log or Path(folder) / "log")
        server.start()
        try:
            report = asyncio.run(soak(server, args.minutes, args.clients))
        finally:
            code = server.end(signal.SIGTERM)
    print(
        json.dumps({"processor": processor(), "minutes": args.minutes, "last_exit_code": code, **report}, indent=1)
    )


if __name__ == "__main__":
    main()
