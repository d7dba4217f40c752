"""Many clients, and clients that go: what is promised holds under load."""

import asyncio
import socket
import statistics
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from tests.serve.pictures import hole, photo, png
from tests.serve.serving import Served, served, until

IMAGE, MASK = photo(), hole()
FILES = {"image": ("a.png", png(IMAGE)), "mask": ("m.png", png(np.zeros_like(IMAGE), alpha=~MASK))}
EDITS = "/v1/images/edits"
KEYS = "one:0123456789abcdef,two:fedcba9876543210"


@pytest.fixture(scope="module")
def small(checkpoint: Path) -> Iterator[Served]:
    """A server with room for sixteen pictures."""
    with served(checkpoint, safety="off", max_queued_rows=16) as running:
        yield running


def form(steps: int, **fields: Any) -> dict[str, str]:
    return {"prompt": "a cat", "num_inference_steps": str(steps), "seed": "3"} | {
        k: str(v) for k, v in fields.items()
    }


def open_request(url: str, steps: int) -> socket.socket:
    """Send a request over a socket of our own, which the caller closes when it likes."""
    request = httpx.Request("POST", f"{url}{EDITS}", data=form(steps), files=FILES)
    body = request.read()
    head = [f"POST {EDITS} HTTP/1.1", *(f"{name}: {value}" for name, value in request.headers.items())]
    host, port = url.removeprefix("http://").split(":")
    connection = socket.create_connection((host, int(port)))
    connection.sendall("\r\n".join(head).encode() + b"\r\n\r\n" + body)
    return connection


def test_five_hundred_clients_at_a_queue_of_sixteen(small: Served) -> None:
    async def storm() -> list[tuple[int, float, str]]:
        limits = httpx.Limits(max_connections=None)
        async with httpx.AsyncClient(base_url=small.url, timeout=120, limits=limits) as client:

            async def ask() -> tuple[int, float, str]:
                start = time.perf_counter()
                answer = await client.post(EDITS, data=form(20), files=FILES)
                return answer.status_code, time.perf_counter() - start, answer.headers.get("retry-after", "")

            return await asyncio.gather(*(ask() for _ in range(500)))

    answers = asyncio.run(storm())
    assert {status for status, _, _ in answers} == {200, 429}
    assert all(int(after) >= 1 for status, _, after in answers if status == 429)
    refused = [seconds for status, seconds, _ in answers if status == 429]
    print(f"\nrefused {len(refused)}, median {statistics.median(refused) * 1e3:.0f} ms")
    until(lambda: small.service.admission.rows == 0)
    assert httpx.post(small.url + EDITS, data=form(2), files=FILES, timeout=60).status_code == 200


def test_a_client_that_goes_is_cancelled_and_the_next_one_is_served(small: Served) -> None:
    made = small.service.model, small.service.fleet.inpainters[0].stats
    connection = open_request(small.url, 150)
    until(lambda: made[1]().active == 1)
    connection.close()
    until(lambda: made[1]().active == 0 and small.service.admission.rows == 0)
    assert httpx.post(small.url + EDITS, data=form(2), files=FILES, timeout=60).status_code == 200


def test_company_does_not_change_when_a_client_goes(small: Served) -> None:
    alone = httpx.post(small.url + EDITS, data=form(30), files=FILES, timeout=60).json()["data"][0]["b64_json"]
    gone = [open_request(small.url, 100) for _ in range(3)]
    answers: list[str] = []

    def ask() -> None:
        answer = httpx.post(small.url + EDITS, data=form(30), files=FILES, timeout=60)
        answers.append(answer.json()["data"][0]["b64_json"])

    asking = threading.Thread(target=ask)
    asking.start()
    for connection in gone:
        connection.close()
    asking.join()
    from tests.serve.pictures import pixels_of

    assert np.abs(pixels_of(answers[0]).astype(int) - pixels_of(alone)).max() <= 1  # rows_per_call is 0 here


def test_a_late_answer_is_504_and_its_place_is_free(checkpoint: Path) -> None:
    with served(checkpoint, safety="off", deadline_s=0.05) as running:
        answer = httpx.post(running.url + EDITS, data=form(150), files=FILES, timeout=60)
        assert answer.status_code == 504
        until(lambda: running.service.fleet.inpainters[0].stats().active == 0)
        assert running.service.admission.rows == 0


def test_one_key_cannot_take_anothers_place(checkpoint: Path) -> None:
    with served(checkpoint, safety="off", api_keys=KEYS, per_key_rows=2) as running:
        mine, other = ({"authorization": f"Bearer {key.partition(':')[2]}"} for key in KEYS.split(","))

        async def flood() -> tuple[list[int], int]:
            async with httpx.AsyncClient(base_url=running.url, timeout=60) as client:
                many = [client.post(EDITS, data=form(60), files=FILES, headers=mine) for _ in range(8)]
                one = client.post(EDITS, data=form(2), files=FILES, headers=other)
                *flooded, served_ = await asyncio.gather(*many, one)
                return [answer.status_code for answer in flooded], served_.status_code

        flooded, served_ = asyncio.run(flood())
        assert served_ == 200
        assert sorted(set(flooded)) == [200, 429]


def test_a_slow_body_takes_no_place(small: Served) -> None:
    host, port = small.url.removeprefix("http://").split(":")
    head = f"POST {EDITS} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 1000\r\n\r\nx"
    slow = [socket.create_connection((host, int(port))) for _ in range(40)]
    try:
        for connection in slow:
            connection.sendall(head.encode())
        assert httpx.post(small.url + EDITS, data=form(2), files=FILES, timeout=60).status_code == 200
        until(lambda: small.service.admission.rows == 0)
    finally:
        for connection in slow:
            connection.close()
