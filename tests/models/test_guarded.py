"""What libraries raise becomes ours; what people and the system raise does not."""

import pytest
import torch

from retouch.errors import ModelError, ModelUnsafe, ModelUnsupported, OutOfMemory, QueueFull
from retouch.models.guarded import guarded


class PanicException(BaseException):
    """As pyo3 raises for a panic of Rust code."""


@pytest.mark.parametrize("foreign", [KeyError("x"), ImportError("no"), AssertionError(), PanicException("unwrap")])
def test_foreign_exceptions_become_errors_of_models(foreign: BaseException) -> None:
    with (
        pytest.raises(ModelError, match="the file cannot be read: ") as caught,
        guarded("the file cannot be read"),
    ):
        raise foreign
    assert caught.value.__cause__ is foreign


def test_class_and_hint_are_the_callers_and_the_message_is_one_line() -> None:
    with pytest.raises(ModelUnsafe) as caught, guarded("bad", hint="convert it", error=ModelUnsafe):
        raise ValueError("first\nsecond " + "x" * 10_000)
    assert (str(caught.value), caught.value.hint) == ("bad: first", "convert it")
    with pytest.raises(ModelError) as caught, guarded("bad"):
        raise ValueError("x" * 10_000)
    assert len(str(caught.value)) < 300
    assert caught.value.hint


@pytest.mark.parametrize("ours", [ModelUnsupported("x"), QueueFull("x"), KeyboardInterrupt(), SystemExit(2)])
def test_errors_of_ours_and_the_systems_pass_unchanged(ours: BaseException) -> None:
    with pytest.raises(type(ours)) as caught, guarded("bad"):
        raise ours
    assert caught.value is ours


@pytest.mark.parametrize("foreign", [MemoryError(), torch.OutOfMemoryError("CUDA out of memory")])
def test_lack_of_memory_is_told_as_such(foreign: BaseException) -> None:
    with pytest.raises(OutOfMemory, match="not enough memory"), guarded("the model cannot be loaded"):
        raise foreign
