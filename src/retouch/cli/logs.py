"""What of the libraries' log reaches a person: nothing, or with --debug all from INFO on."""

import logging
import sys

FORMAT = "%(asctime)s %(name)s %(levelname)s %(message)s"


def keep_quiet() -> None:
    """Keep log records off stderr: what a person should know is in results and errors."""
    # Without any handler logging writes warnings to stderr by itself; a command that sets one up is still heard.
    logging.lastResort = logging.NullHandler()


def speak_up() -> None:
    """Write the log to stderr."""
    root = logging.getLogger()
    if not any(isinstance(handler, _ToStderr) for handler in root.handlers):
        handler = _ToStderr()
        handler.setFormatter(logging.Formatter(FORMAT))
        root.addHandler(handler)
    root.setLevel(logging.INFO)


class _ToStderr(logging.Handler):
    """Writes to whatever stderr is at the time of a record."""

    def emit(self, record: logging.LogRecord) -> None:
        sys.stderr.write(f"{self.format(record)}\n")
