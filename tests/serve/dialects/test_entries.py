"""Rows of one request live and die apart."""

import pytest

from retouch.errors import DeadlineExceeded, GenerationFailed, InvalidField, QueueFull, RetouchError
from retouch.serve.dialects.entries import Scored, worst

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
