"""`--deployment`: options come before the file, the environment before its variables."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.batch.builders import inline_row, results_of, write_csv
from tests.safety.azure.service import ContentSafetyService, error
from typer.testing import Result

from retouch.cli.deployments import as_batch, as_served

GIVEN: dict[str, Any] = {"device": "cpu", "model": None, "content_safety": None, "error_profile": None}


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("CONTENT_SAFETY_ENDPOINT", "RETOUCH_ERROR_PROFILE"):
        monkeypatch.setenv(name, "")  # so that what the file sets is taken back
        monkeypatch.delenv(name)
    path = tmp_path / "deployment.yml"
    path.write_text(
        "name: one\nmodel: {path: model}\ninstance_count: 2\nrequest_settings: {request_timeout_ms: 5000}\n"
        "environment_variables: {CONTENT_SAFETY_ENDPOINT: 'https://a', RETOUCH_ERROR_PROFILE: azure}\n"
    )
    return path


def test_the_file_fills_in_what_no_option_says(path: Path) -> None:
    options = as_served(path, GIVEN)
    assert options["model"] == str(path.parent / "model")
    assert options["deadline_s"] == 5.0
    assert options["device"] == "cpu,cpu"
    assert options["content_safety"] is True
    assert os.environ["RETOUCH_ERROR_PROFILE"] == "azure"


def test_an_option_and_the_environment_come_before_the_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONTENT_SAFETY_ENDPOINT", "https://mine")
    options = as_served(path, {**GIVEN, "model": "mine", "device": "cpu,cuda:0,cuda:1"})
    assert (options["model"], options["device"]) == ("mine", "cpu,cuda:0,cuda:1")
    assert os.environ["CONTENT_SAFETY_ENDPOINT"] == "https://mine"


def test_an_option_that_comes_before_the_file_is_told(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = as_served(path, {**GIVEN, "model": "mine", "deadline_s": "9"})
    assert options["deadline_s"] == "9"
    assert capsys.readouterr().err.splitlines() == [
        "--deployment: model is left to --model, which comes before it",
        "--deployment: request_timeout_ms is left to --limit, which comes before it",
    ]


def test_what_has_no_meaning_here_is_told(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path.write_text("instance_type: STANDARD_NC4AS_T4_V3\n")
    as_served(path, GIVEN)
    assert capsys.readouterr().err.splitlines() == [
        "--deployment: instance_type has no meaning here: this machine is what it is"
    ]


BATCH: dict[str, Any] = {
    **dict.fromkeys(("model", "max_failures", "attempts", "deadline_s", "formats", "safety")),
    **{"content_safety": False, "screen_input": False, "ray": None, "ray_actors": None},
}


def batch_yml(folder: Path, **settings: object) -> Path:
    path = folder / "deployment.yml"
    path.write_text(yaml.safe_dump({"name": "one", "type": "model", "settings": settings}))
    return path


def test_a_batchs_variables_decide_its_safeguards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RETOUCH_SAFETY", "RETOUCH_SCREEN_INPUT"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    path = batch_yml(tmp_path, environment_variables={"RETOUCH_SAFETY": "blur", "RETOUCH_SCREEN_INPUT": "true"})
    options = as_batch(path, BATCH)
    assert (options["safety"], options["screen_input"], options["content_safety"]) == ("blur", True, False)
    assert as_batch(path, {**BATCH, "safety": "error"})["safety"] == "error"


def test_several_models_are_for_a_cluster(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = batch_yml(tmp_path, instance_count=2, max_concurrency_per_instance=2)
    assert as_batch(path, {**BATCH, "ray": "local"})["ray_actors"] == 4
    assert as_batch(path, {**BATCH, "ray": "local", "ray_actors": 1})["ray_actors"] == 1
    assert as_batch(path, BATCH)["ray_actors"] is None
    assert capsys.readouterr().err.splitlines() == [
        "--deployment: instance_count is left to --ray-actors, which comes before it",
        "--deployment: instance_count, max_concurrency_per_instance: one model paints here; --ray has 4 paint",
    ]


def test_a_batch_writes_what_its_deployment_names(folder: Path, run: Callable[..., Result]) -> None:
    write_csv(folder / "0batch_input.csv", [inline_row(0), inline_row(1) | {"image": "nothing.png"}], index=True)
    path = batch_yml(folder, output_file_name="all.csv", mini_batch_size=1, error_threshold=1)
    done = run("batch", "run", "0batch_input.csv", "--output", "out", "--steps", "1", "--deployment", str(path))
    assert done.exit_code == 1, done.output
    assert "--deployment: mini_batch_size has no meaning here" in done.stderr
    first, second = (folder / "out" / "all.csv").read_text().splitlines()
    assert first.startswith("0,iVBOR")
    assert first.endswith(",False,0batch_input.csv")
    assert second == "1,,,0batch_input.csv"
    assert not (folder / "out" / "predictions.csv").exists()


def test_a_batch_stops_at_its_deployments_threshold_unless_an_option_says_otherwise(
    folder: Path, run: Callable[..., Result]
) -> None:
    write_csv(folder / "in.csv", [inline_row(0) | {"image": "nothing.png"}])
    path = batch_yml(folder, error_threshold=0, output_action="summary_only")
    command = ("batch", "run", "in.csv", "--output", "out", "--steps", "1", "--deployment", str(path))
    stopped = run(*command)
    assert "1 of 1 rows failed, more than allowed" in stopped.stderr
    gone_on = run(*command, "--max-failures", "5", "--format", "csv")
    assert "error_threshold is left to --max-failures" in gone_on.stderr
    assert "output_action is left to --format" in gone_on.stderr
    assert (folder / "out" / "results.csv").exists()
    assert not (folder / "out" / "predictions.csv").exists()


def test_a_refused_row_says_so_where_content_safety_is_asked(
    folder: Path, run: Callable[..., Result], service: ContentSafetyService
) -> None:
    write_csv(folder / "in.csv", [inline_row(0, "violence6"), inline_row(1)])
    path = batch_yml(folder, environment_variables={"CONTENT_SAFETY_ENDPOINT": "https://other"})
    done = run("batch", "run", "in.csv", "--output", "out", "--steps", "1", "--deployment", str(path))
    assert next(line["status"] for line in results_of(folder / "out")) == "blocked", done.output
    lines = (folder / "out" / "predictions.csv").read_text().splitlines()
    assert lines[0] == "0,Blocked By Azure AI Content Safety,False,in.csv"


@pytest.mark.parametrize(
    "name", ["../predictions.csv", "results.jsonl", "Ledger.sqlite", "pictures", ".hidden", "a/b.csv", ""]
)
def test_the_output_files_name_leads_nowhere_else(folder: Path, run: Callable[..., Result], name: str) -> None:
    write_csv(folder / "in.csv", [inline_row(0)])
    path = batch_yml(folder, output_file_name=name)
    refused = run("batch", "run", "in.csv", "--output", "out", "--deployment", str(path))
    assert (refused.exit_code, "output_file_name is" in refused.stderr) == (2, True)
    assert not (folder / "out").exists()


def test_a_deployment_without_retries_tries_a_row_once(
    folder: Path, run: Callable[..., Result], service: ContentSafetyService
) -> None:
    write_csv(folder / "in.csv", [inline_row(0, seed=1)])
    path = batch_yml(folder, retry_settings={"max_retries": 0}, output_action="summary_only")
    command = ("batch", "run", "in.csv", "--output", "out", "--steps", "1", "--content-safety")
    service.script.append(error(403, "403"))
    run(*command, "--deployment", str(path))
    assert [(line["status"], line["error"]["code"]) for line in results_of(folder / "out")] == [
        ("failed", "unavailable")
    ]
    assert not service.script
