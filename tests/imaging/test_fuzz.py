"""Ten thousand broken files of each format: typed errors alone, in bounded memory and time."""

from pathlib import Path

import pytest
from tests.fuzz import MOST_BYTES, MOST_SECONDS, run_apart

pytestmark = pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is bounded by /proc")


def _check(kind: str, count: int, capsys: pytest.CaptureFixture[str]) -> None:
    report = run_apart(f"tests.imaging.fuzz_cases:{kind}", count)
    with capsys.disabled():
        print(f"\n{report}")
    assert report.foreign == []
    assert report.ends.get("taken", 0) > 0
    assert report.slowest_s < MOST_SECONDS
    assert report.growth_mb * 2**20 < MOST_BYTES


@pytest.mark.parametrize("kind", ["png", "jpeg", "webp", "avif", "tiff", "bmp"])
def test_some_broken_files_never_escape_as_another_error(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    _check(kind, 300, capsys)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["png", "jpeg", "webp", "avif", "tiff", "bmp"])
def test_ten_thousand_broken_files_never_escape_as_another_error(
    kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    _check(kind, 10_000, capsys)
