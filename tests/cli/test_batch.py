"""`retouch batch` as a user meets it."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.batch.builders import hashes_of, inline_row, results_of, write_csv
from tests.safety.azure.service import ContentSafetyService, error
from typer.testing import Result

from retouch.cli.batch_options import with_ray_address

Run = Callable[..., Result]


@pytest.fixture
def batch(folder: Path, run: Run) -> Run:
    """Run `retouch batch run in.csv --output out` with two steps, and more options."""
    write_csv(folder / "in.csv", [inline_row(number, seed="") for number in range(3)])

    def invoke(*args: str, source: str = "in.csv") -> Result:
        return run("batch", "run", source, "--output", "out", "--steps", "2", *args)

    return invoke


def test_rows_become_pictures_and_the_exit_code_says_all_are_done(batch: Run, folder: Path) -> None:
    done = batch("--json", "--format", "azure", "--format", "sheet")
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert (told["rows"], told["made"]) == ({"done": 3}, 3)
    assert [Path(name).name for name in told["files"]] == ["results.jsonl", "predictions.csv", "sheet.png"]
    assert len(hashes_of(folder / "out")) == 3


def test_the_same_command_again_does_nothing_more(batch: Run) -> None:
    batch()
    again = batch("--json")
    assert (again.exit_code, json.loads(again.stdout)["made"]) == (0, 0)


def test_a_failed_row_is_exit_code_1(batch: Run, folder: Path) -> None:
    write_csv(folder / "in.csv", [inline_row(0), inline_row(1) | {"image": "nothing.png"}])
    failed = batch()
    assert failed.exit_code == 1
    assert "1 done, 1 failed" in failed.stderr


@pytest.mark.parametrize(
    ("source", "args", "reason"),
    [
        ("missing.csv", (), "missing.csv"),
        ("in.csv", ("--max-failures", "many"), "--max-failures"),
        ("in.csv", ("--strength", "7"), "--strength"),
        ("in.csv", ("--scheduler", "Sampler of nobody"), "Sampler of nobody"),
        ("in.csv", ("--format", "azure", "--picture-format", "jpeg"), "--format azure"),
        ("in.csv", ("--ray", "nowhere"), "'nowhere'"),
        ("in.csv", ("--ray", "ray://head:10001"), "ray://head:10001"),
        ("in.csv", ("--ray-actors", "2"), "--ray-actors"),
        ("in.csv", ("--screen-input", "--safety", "off"), "--screen-input"),
    ],
)
def test_what_cannot_be_run_is_exit_code_2(
    batch: Run, folder: Path, source: str, args: tuple[str, ...], reason: str
) -> None:
    refused = batch(*args, source=source)
    assert refused.exit_code == 2
    assert reason in refused.stderr
    assert not (folder / "out").exists()


def test_an_unknown_column_is_told_with_its_file_and_what_it_is_called_here(batch: Run, folder: Path) -> None:
    write_csv(folder / "in.csv", [inline_row(0, steps=3)])
    refused = batch()
    assert refused.exit_code == 2
    assert "in.csv: nobody knows the column 'steps'" in refused.stderr
    assert "num_inference_steps" in refused.stderr.replace("--num-inference-steps", "num_inference_steps")
    assert batch("--extra-columns", "keep").exit_code == 0


def test_one_mask_and_one_prompt_serve_a_folder_of_pictures(batch: Run, folder: Path) -> None:
    pictures = folder / "pictures"
    pictures.mkdir()
    for name in ("a.png", "b.png"):
        (pictures / name).write_bytes((folder / "in.png").read_bytes())
    done = batch("--mask", "mask.png", "--prompt", "a red apple", source="pictures")
    assert done.exit_code == 0, done.output
    assert [line["id"] for line in results_of(folder / "out")] == ["a", "b"]


def test_a_folder_of_masks_goes_by_stems(batch: Run, folder: Path) -> None:
    for name in ("pictures", "masks"):
        (folder / name).mkdir()
    (folder / "pictures" / "a.png").write_bytes((folder / "in.png").read_bytes())
    (folder / "masks" / "a.png").write_bytes((folder / "mask.png").read_bytes())
    done = batch("--mask", "masks", "--prompt", "a red apple", source="pictures")
    assert done.exit_code == 0, (done.output, results_of(folder / "out"))


def test_a_dry_run_names_every_bad_row_and_writes_nothing(batch: Run, folder: Path) -> None:
    rows = [inline_row(number, strength=1) for number in range(5)]
    rows[1]["image"] = "../in.png"
    rows[3]["strength"] = 2
    write_csv(folder / "in.csv", rows)
    looked = batch("--dry-run")
    assert looked.exit_code == 1
    assert "in.csv, row 2: image: " in looked.stdout
    assert "in.csv, row 4: " in looked.stdout
    assert "3 of 5 rows can be run, in about" in looked.stderr
    assert not (folder / "out").exists()
    told = json.loads(batch("--dry-run", "--json").stdout)
    assert [one["row"] for one in told["problems"]] == [1, 3]
    assert told["estimated_s"] > 0


def test_results_are_exported_later_and_the_state_is_told(batch: Run, run: Run, folder: Path) -> None:
    batch()
    exported = run("batch", "export", "out", "--format", "csv")
    assert exported.exit_code == 0
    assert "results.csv" in exported.stdout
    assert json.loads(run("batch", "status", "out", "--json").stdout) == {"rows": {"done": 3}, "events": []}
    assert run("batch", "status", "in.png").exit_code == 2


@pytest.mark.parametrize("command", [("status",), ("export", "--format", "csv")])
def test_a_damaged_ledger_is_told_as_what_it_is(run: Run, folder: Path, command: tuple[str, ...]) -> None:
    (folder / "out").mkdir()
    (folder / "out" / "ledger.sqlite").write_bytes(b"no database" * 500)
    told = run("batch", command[0], "out", *command[1:])
    assert told.exit_code == 2
    assert "cannot be read as a ledger" in told.stderr


@pytest.mark.parametrize(
    ("args", "read"),
    [
        (["in.csv", "--ray"], ["in.csv", "--ray", "local"]),
        (["--ray", "--steps", "2"], ["--ray", "local", "--steps", "2"]),
        (["--ray", "head:6379", "in.csv"], ["--ray", "head:6379", "in.csv"]),
        (["--prompt", "x"], ["--prompt", "x"]),
    ],
)
def test_ray_may_stand_without_an_address(
    args: list[str], read: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    assert with_ray_address(args) == read
    monkeypatch.setenv("RAY_ADDRESS", "head:1")
    assert with_ray_address(args) == [word.replace("local", "head:1") for word in read]


def test_content_safety_is_asked_of_every_row_and_refuses_its_own_alone(
    batch: Run, folder: Path, service: ContentSafetyService
) -> None:
    rows = [inline_row(number, prompt, seed=1) for number, prompt in enumerate(("a cat", "violence6", "a dog"))]
    write_csv(folder / "in.csv", rows)
    done = batch("--content-safety")
    assert done.exit_code == 1, done.output
    assert [line["status"] for line in results_of(folder / "out")] == ["done", "blocked", "done"]
    asked = [call.body.get("text", "a picture") for call in service.calls]
    assert sorted(asked) == ["a cat", "a dog", *["a picture"] * 6, "violence6"]


def test_without_the_option_the_environment_sends_nothing(batch: Run, service: ContentSafetyService) -> None:
    assert batch("--screen-input").exit_code == 0
    assert service.calls == []


def test_a_service_that_is_away_fails_rows_which_are_done_when_it_is_back(
    batch: Run, folder: Path, service: ContentSafetyService
) -> None:
    write_csv(folder / "in.csv", [inline_row(0, seed=1)])
    service.script.extend([error(403, "403")] * 3)
    assert batch("--content-safety").exit_code == 1
    (line,) = results_of(folder / "out")
    assert (line["status"], line["error"]["code"]) == ("failed", "unavailable")
    assert batch("--content-safety", "--retry-failed").exit_code == 0


def test_a_service_that_is_not_configured_is_told_before_any_work(
    batch: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CONTENT_SAFETY_ENDPOINT", raising=False)
    refused = batch("--content-safety")
    assert refused.exit_code == 2
    assert "CONTENT_SAFETY_ENDPOINT" in refused.stderr
    assert not (folder / "out").exists()


def test_what_ran_unchecked_is_not_taken_for_checked(batch: Run, service: ContentSafetyService) -> None:
    assert batch().exit_code == 0
    refused = batch("--content-safety")
    assert refused.exit_code == 2
    assert 'safeguards was not there, is ["content_safety"]' in refused.stderr
