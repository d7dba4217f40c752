"""Pictures and a server that tests of HTTP share."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.serve.serving import Served, served


@pytest.fixture(scope="session")
def tiny(checkpoint: Path) -> Iterator[Served]:
    """A server of the tiny checkpoint, whose own checker would black everything; policies are the tests'."""
    with served(checkpoint, allow_safety_off=True, safety="off") as running:
        yield running
