"""Whatever a library raises becomes ours; what ends the process does not."""

import pytest

from retouch.errors import ImageError, MaskEmpty
from retouch.foreign import foreign_as


class Panic(BaseException):
    """As pyo3's PanicException: no Exception."""


@pytest.mark.parametrize(
    "foreign", [ValueError("x"), Panic("x"), MemoryError(), RecursionError(), RuntimeError("x")]
)
def test_foreign_errors_become_ours(foreign: BaseException) -> None:
    with pytest.raises(ImageError, match="broken") as caught, foreign_as(ImageError("broken", hint="again")):
        raise foreign
    assert caught.value.__cause__ is foreign
    assert caught.value.hint == "again"


@pytest.mark.parametrize("other", [MaskEmpty("ours"), KeyboardInterrupt(), SystemExit(3), GeneratorExit()])
def test_our_own_errors_and_the_end_of_the_process_pass(other: BaseException) -> None:
    with pytest.raises(type(other)), foreign_as(ImageError("broken")):
        raise other
