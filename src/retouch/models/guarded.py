"""The loading door: whatever a library raises over a stranger's file leaves it as an error of ours."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from retouch.errors import ModelError, OutOfMemory, RetouchError

_SHOWN_CHARS = 200
_DAMAGED = "a file may be damaged: get it again from where it came"


@contextmanager
def guarded(what: str, *, hint: str = _DAMAGED, error: type[ModelError] = ModelError) -> Iterator[None]:
    """Turn foreign exceptions into a `ModelError` that begins with `what`; errors of ours pass.

    Libraries fail over hostile files in any class: diffusers' and transformers' many, and panics of Rust code,
    which derive from BaseException so that nobody catches them by accident. Here it is on purpose.

    Raises:
        ModelError: or the class that was asked for.
        OutOfMemory: there is not enough memory for the checkpoint.
    """
    try:
        yield
    except (RetouchError, KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except (MemoryError, torch.OutOfMemoryError) as foreign:
        raise OutOfMemory(f"{what}: not enough memory", hint="half precision or --offload need less") from foreign
    except BaseException as foreign:
        reason = str(foreign).strip().partition("\n")[0][:_SHOWN_CHARS] or type(foreign).__name__
        raise error(f"{what}: {reason}", hint=hint) from foreign
