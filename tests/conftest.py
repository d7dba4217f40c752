"""What tests of several rooms share: one tiny checkpoint, loaded once."""

from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from tests.factories import make_checkpoint

from retouch.inpainter import Inpainter


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A complete random checkpoint of 32 native pixels."""
    return make_checkpoint(tmp_path_factory.mktemp("checkpoint") / "tiny")


@pytest.fixture(scope="session", autouse=True)
def state_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Give each test process its own state folder: only one server at a time may keep its jobs in one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield


@pytest.fixture(scope="session")
def inpainter(checkpoint: Path) -> Iterator[Inpainter]:
    with Inpainter.load(checkpoint) as loaded:
        yield loaded


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Write lone surrogates as escapes: what hostile tests print goes from a process to another as UTF-8."""
    report = yield
    report.sections = [(name, text.encode(errors="backslashreplace").decode()) for name, text in report.sections]
    return report
