"""Failures of other people's libraries, turned into ours at the door where strangers' data meets them.

A list of what a library is known to raise is never complete: Rust extensions panic past `Exception`, and a new
version raises something else. Around a call into a library, everything that is not ours becomes ours.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from retouch.errors import RetouchError


@contextmanager
def foreign_as(ours: Exception) -> Iterator[None]:
    """Raise `ours`, an error of this project, in place of whatever a library raises within the block.

    Our own errors pass, and so does what asks the process or the generator to end. Keep the block to the calls
    into the library: a defect of ours inside it would be told as broken input.
    """
    try:
        yield
    except (RetouchError, type(ours), KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except BaseException as error:
        raise ours from error
