"""`retouch package` as a user meets it."""

from collections.abc import Callable
from pathlib import Path

from typer.testing import Result

Run = Callable[..., Result]


def test_a_package_is_written_and_its_place_is_printed(run: Run, tmp_path: Path) -> None:
    done = run("package", "mlflow", "--output", str(tmp_path / "model"))
    assert (done.exit_code, done.stdout.strip()) == (0, str(tmp_path / "model"))
    assert (tmp_path / "model" / "MLmodel").is_file()


def test_an_output_that_holds_something_is_bad_usage(run: Run, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("")
    done = run("package", "azure", "--output", str(tmp_path))
    assert done.exit_code == 2
    assert "is there already" in done.stderr
