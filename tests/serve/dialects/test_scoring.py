"""A request's end is the end of all its rows."""

import json
import socket

from tests.serve.dialects.tables import quick, row
from tests.serve.serving import Served, until

from retouch.engine.scheduler import Stage


def test_a_client_that_goes_takes_all_of_its_rows_with_it(tiny: Served) -> None:
    def steps() -> int:
        return tiny.service.fleet.inpainters[0].stats().rows[Stage.STEP]

    begun = steps()
    body = json.dumps(quick(*[row()] * 8, num_inference_steps=150)).encode()
    host, _, port = tiny.url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port))) as client:
        head = f"POST /score HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
        client.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        until(lambda: steps() > begun)
        assert tiny.service.admission.rows == 8
    until(lambda: tiny.service.admission.rows == 0)
    assert steps() - begun < 8 * 150 * 2
