"""The error tree is what its drawing says."""

import pickle
import re

import pytest

from retouch import errors
from retouch.errors import InvalidField, QueueFull, RetouchError


def _classes(base: type[RetouchError] = RetouchError) -> list[type[RetouchError]]:
    return [base, *(sub for direct in base.__subclasses__() for sub in _classes(direct))]


@pytest.mark.parametrize("error", _classes(), ids=lambda error: error.__name__)
def test_the_drawn_table_names_each_class_with_its_code_and_status(error: type[RetouchError]) -> None:
    assert re.search(rf"{error.__name__}\s+{error.code}\s+{error.status}\b", errors.__doc__ or "")


def test_codes_are_unique() -> None:
    codes = [error.code for error in _classes()]
    assert len(codes) == len(set(codes))


def test_an_invalid_field_names_its_field() -> None:
    error = InvalidField("strength", "is 2", hint="from 0 to 1")
    assert (error.field, str(error), error.hint) == ("strength", "strength: is 2", "from 0 to 1")


def test_a_full_queue_says_when_to_come_again() -> None:
    assert QueueFull("full", retry_after_s=2.5).retry_after_s == 2.5


def test_an_error_comes_out_of_another_process_as_it_was() -> None:
    error = InvalidField("strength", "is 2", hint="from 0 to 1")
    error.add_note("row 3")
    came: InvalidField = pickle.loads(pickle.dumps(error))
    assert (type(came), came.field, str(came), came.hint) == (InvalidField, "strength", str(error), error.hint)
    assert came.__notes__ == ["row 3"]
