"""Ten thousand broken files of each format: typed errors alone, in bounded memory and time."""

from pathlib import Path

import pytest
from tests.fuzz import check

pytestmark = pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is bounded by /proc")


@pytest.mark.parametrize("kind", ["png", "jpeg", "webp", "avif", "tiff", "bmp"])
def test_some_broken_files_never_escape_as_another_error(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    check(f"tests.imaging.fuzz_cases:{kind}", 300, capsys)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["png", "jpeg", "webp", "avif", "tiff", "bmp"])
def test_ten_thousand_broken_files_never_escape_as_another_error(
    kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    check(f"tests.imaging.fuzz_cases:{kind}", 10_000, capsys)
