import subprocess
import sys

SCRIPT = """
import logging
from retouch.cli import logs
logs.keep_quiet()
logging.getLogger("library").error("quiet")
if {loud}:
    logs.speak_up()
    logs.speak_up()
    logging.getLogger("library").info("loud")
"""


def stderr_of(*, loud: bool) -> str:
    script = SCRIPT.format(loud=loud)
    return subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stderr


def test_libraries_do_not_write_to_the_persons_terminal() -> None:
    assert stderr_of(loud=False) == ""


def test_a_command_that_sets_up_logging_is_heard() -> None:
    script = "from retouch.cli.logs import keep_quiet; keep_quiet(); import logging; logging.basicConfig(level=20)"
    done = subprocess.run(
        [sys.executable, "-c", f"{script}; logging.info('step 1')"], check=True, capture_output=True, text=True
    )
    assert "step 1" in done.stderr


def test_debug_shows_the_log_once() -> None:
    lines = stderr_of(loud=True).splitlines()
    assert len(lines) == 1
    assert lines[0].endswith("library INFO loud")
