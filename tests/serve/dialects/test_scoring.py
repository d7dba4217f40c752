"""Rows of one request live and die apart, and the request's end is the end of all."""

import json
import socket

import pytest
from tests.serve.dialects.tables import quick, row
from tests.serve.serving import Served, until

from retouch.engine.scheduler import Stage
from retouch.errors import DeadlineExceeded, GenerationFailed, InvalidField, QueueFull, RetouchError
from retouch.serve.dialects.scoring import Scored, worst

WRONG = InvalidField("seed", "is -1")


def ends(*errors: RetouchError | None) -> list[Scored]:
    return [Scored([], [], error) for error in errors]


@pytest.mark.parametrize(
    ("errors", "status", "message"),
    [
        ((WRONG,), 422, "seed: is -1"),
        ((None, InvalidField("seed", "is -1")), 422, "row 1: seed: is -1"),
        ((InvalidField("a", "x"), InvalidField("b", "y")), 422, "row 0: a: x"),
        ((InvalidField("a", "x"), QueueFull("too much")), 429, "row 1: too much"),
        ((InvalidField("a", "x"), GenerationFailed("broken"), DeadlineExceeded("late")), 504, "row 2: late"),
    ],
)
def test_the_error_that_counts_is_ours_before_the_input_s_and_names_its_row(
    errors: tuple[RetouchError | None, ...], status: int, message: str
) -> None:
    error = worst(ends(*errors))
    assert error is not None
    assert (error.status, str(error)) == (status, message)


def test_where_no_row_failed_there_is_no_error() -> None:
    assert worst(ends(None, None)) is None


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
