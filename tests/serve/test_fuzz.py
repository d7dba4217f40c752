"""Thousands of broken bodies at each parser of the door: typed errors alone, in bounded memory and time."""

from pathlib import Path

import pytest
from tests.fuzz import check

KINDS = ["strict_json", "forms", "pictures", "urls"]

pytestmark = pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is bounded by /proc")


@pytest.mark.parametrize("kind", KINDS)
def test_some_broken_bodies_never_escape_as_another_error(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    check(f"tests.serve.fuzz_cases:{kind}", 500, capsys)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_twenty_thousand_broken_bodies_never_escape_as_another_error(
    kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    check(f"tests.serve.fuzz_cases:{kind}", 20_000, capsys)
