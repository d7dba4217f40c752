import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
import typer
from tests.cli.conftest import FILL
from typer.testing import CliRunner

import retouch.cli
from retouch import __version__
from retouch.cli.main import COMMANDS, app

HEAVY = ("torch", "diffusers", "transformers", "onnxruntime", "cv2", "numpy", "PIL", "rich", "pydantic")
SHARED = {
    *("__main__", "main", "failures", "inputs", "limits", "loading", "logs", "options", "outcome", "outputs"),
    *("progress", "training_bar", "safeguards", "batch_models", "batch_options", "batch_progress", "deployments"),
    *("replicas", "words"),
}
RETOUCH = Path(sys.executable).with_name("retouch")
RUNNER = CliRunner()


def test_help_answers_within_half_a_second() -> None:
    resource = pytest.importorskip("resource")

    def cpu_seconds() -> float:
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return float(used.ru_utime + used.ru_stime)

    def one_run() -> float:
        before = cpu_seconds()
        subprocess.run([RETOUCH, "--help"], check=True, capture_output=True)
        return cpu_seconds() - before

    # Seconds of the processor, not of the clock: other work on the machine must not decide.
    assert min(one_run() for _ in range(3)) < 0.5


@pytest.mark.parametrize(
    "code",
    [
        "import retouch",
        "import retouch.cli.main as m; m.app(['--help'], standalone_mode=False)",
        "import retouch.cli.inpaint",
    ],
)
def test_no_heavy_library_is_imported_before_there_is_work(code: str) -> None:
    script = f"{code}\nimport sys\nprint('|'.join(n for n in {HEAVY!r} if n in sys.modules), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert done.stderr.strip() == ""


def test_help_lists_every_command_with_its_line() -> None:
    shown = RUNNER.invoke(app, ["--help"]).output
    assert all(name in shown and text in shown for name, text in COMMANDS.items())


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_of_the_table_has_a_module_with_an_app(name: str) -> None:
    assert isinstance(import_module(f"retouch.cli.{name}").app, typer.Typer)


def test_every_module_of_the_folder_is_a_command_or_a_shared_part() -> None:
    modules = {path.stem for path in Path(retouch.cli.__path__[0]).glob("*.py")} - {"__init__"}
    assert modules == SHARED | set(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_answers_help(name: str) -> None:
    done = RUNNER.invoke(app, [name, "--help"])
    assert done.exit_code == 0
    assert "Usage" in done.output


def test_version_is_the_packages_own() -> None:
    assert RUNNER.invoke(app, ["--version"]).output == f"retouch {__version__}\n"


@pytest.mark.parametrize("args", [["inpain"], ["--no-such"], ["inpaint"], ["inpaint", "--no-such"], []])
def test_bad_usage_exits_with_2(args: list[str]) -> None:
    done = RUNNER.invoke(app, args)
    assert done.exit_code == 2
    assert "Traceback" not in done.output


@pytest.mark.parametrize(
    ("flag", "flags"),
    [("--generator", "--seed"), ("--padding-mask-crop", "--region and --padding"), ("--mask-blur", "--feather")],
)
def test_the_command_line_answers_in_its_own_words(flag: str, flags: str) -> None:
    done = RUNNER.invoke(app, ["inpaint", *FILL, "--output", "out.png", flag, "1"])
    assert done.exit_code == 2
    assert f"Here it is {flags}." in " ".join(done.output.split())


def test_an_option_that_nobody_knows_gets_clicks_own_answer() -> None:
    done = RUNNER.invoke(app, ["inpaint", *FILL, "--frobnicate", "1"])
    assert done.exit_code == 2
    assert "Here it is" not in done.output


@pytest.mark.parametrize(
    "args",
    [["--steps", "abc"], ["--no-such"], ["--prompt"], ["--region", "here"], ["--image", "in.png"]],
    ids=["value", "option", "no value", "choice", "missing"],
)
def test_bad_usage_is_json_too_where_json_was_asked_for(args: list[str]) -> None:
    done = RUNNER.invoke(app, ["inpaint", *args, "--json"])
    assert done.exit_code == 2
    body = json.loads(done.stdout)["error"]
    assert body["code"] == "bad_input"
    assert f"error: {body['message']}" in done.stderr


def test_a_value_of_another_kind_is_told_in_plain_words() -> None:
    done = RUNNER.invoke(app, ["inpaint", "--steps", "abc"])
    assert "'--steps': 'abc' is not a whole number" in done.stderr
    assert "--help" in done.stderr
    assert "--region': 'here' is not one of 'auto'" in RUNNER.invoke(app, ["inpaint", "--region", "here"]).stderr


def test_no_command_at_all_shows_the_help() -> None:
    assert RUNNER.invoke(app, []).stderr.startswith("Usage: ")


def test_an_interrupt_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("retouch.cli.inpaint._request", interrupt)
    done = RUNNER.invoke(app, ["inpaint", "-i", "a.png", "-p", "a cat", "-o", "b.png", "--json"])
    assert done.exit_code == 130
    assert "interrupted" in done.stderr
    assert json.loads(done.stdout)["error"]["code"] == "cancelled"
