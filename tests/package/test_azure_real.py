"""The folder under Azure's own SDK, inference server, and a driver that calls as Azure's batch driver does."""

import csv
import io
import json
from pathlib import Path

import pytest
from tests.package.platforms import run, serving, variables
from tests.safety.azure.service import KEY
from tests.safety.azure.service import running as content_safety
from tests.serve.dialects.tables import IMAGE, MASK, ask, quick, row
from tests.serve.pictures import assert_only_the_hole_changed

HERE = Path(__file__).parent
BLOCKED = "Blocked By Azure AI Content Safety"

pytestmark = pytest.mark.slow


def command(azure: Path, folder: Path) -> list[str | Path]:
    return [azure / "azmlinfsrv", "--entry_script", folder / "code" / "score_online.py"]


def deployed(azure: Path, folder: Path, **more: str) -> dict[str, str]:
    """Return the variables that a deployment has: the folder of the model is one below."""
    return variables(AZUREML_MODEL_DIR=str(folder), PATH=f"{azure}:/usr/bin:/bin", **more)


def table(folder: Path, *rows: dict[str, str]) -> Path:
    """Write a table as the notebook does: with pandas' index, and base64 with ends of lines."""
    path = folder / "0batch_input.csv"
    with path.open("w", newline="") as file:
        lines = csv.DictWriter(file, ["", "image", "mask_image", "prompt"])
        lines.writeheader()
        lines.writerows({"": at, **one} for at, one in enumerate(rows))
    return path


def driven(azure: Path, folder: Path, cwd: Path, *batches: list[str], **more: str) -> list[dict[str, str]]:
    arguments = [json.dumps(batch) for batch in batches]
    script = folder / "code" / "score_batch.py"
    printed = run([azure / "python", HERE / "calls.py", script, *arguments], deployed(azure, folder, **more), cwd)
    return [json.loads(line) for line in printed.splitlines() if line.startswith("{")]


def test_every_file_is_what_azures_classes_take(azure: Path, folder: Path, tmp_path: Path) -> None:
    printed = run([azure / "python", HERE / "validate.py", folder], variables(), tmp_path)
    assert json.loads(printed.splitlines()[-1]) == {
        "batch-deployment-safe.yml": ["ModelBatchDeployment", "inpainting-safe"],
        "batch-deployment.yml": ["ModelBatchDeployment", "inpainting-deploy"],
        "batch-endpoint.yml": ["BatchEndpoint", "inpainting-batch"],
        "online-deployment-safe.yml": ["ManagedOnlineDeployment", "inpainting-safe"],
        "online-deployment.yml": ["ManagedOnlineDeployment", "inpainting-deploy"],
        "online-endpoint-safe.yml": ["ManagedOnlineEndpoint", "inpainting-safe"],
        "online-endpoint.yml": ["ManagedOnlineEndpoint", "inpainting"],
    }


def test_azures_server_answers_the_notebooks_and_the_cards_own_request(
    azure: Path, folder: Path, tmp_path: Path
) -> None:
    with serving(command(azure, folder), "/", deployed(azure, folder), tmp_path) as url:
        reply = ask(f"{url}/score", quick(seed=7))
        assert reply.status == 200, reply.body
        [entry] = reply.json
        assert list(entry) == ["prompt", "generated_image", "nsfw_content_detected"]
        assert_only_the_hole_changed(entry["generated_image"], IMAGE, MASK)
        assert ask(f"{url}/score", quick(seed=7)).body == reply.body

        # As the card prints it: `mask` among the columns, `mask_image` in the rows.
        rows = [row(prompt="a yellow cat"), row(prompt="a green cat")]
        card = {"columns": ["prompt", "image", "mask"], "data": rows, "index": [0, 1]}
        answered = ask(f"{url}/score", {"input_data": card}).json
        assert [entry["prompt"] for entry in answered] == ["a yellow cat", "a green cat"]

        wrong = ask(f"{url}/score", quick(row(image="QUJD")))
        assert (wrong.status, wrong.json["error"]["code"]) == (415, "image_format")
        assert ask(f"{url}/score", b"{").status == 400


def test_the_safe_variant_answers_a_refused_request_with_nothing(
    azure: Path, folder: Path, tmp_path: Path
) -> None:
    with content_safety() as service:
        env = deployed(
            azure,
            folder,
            CONTENT_SAFETY_ENDPOINT=service.endpoint,
            CONTENT_SAFETY_KEY=KEY,
            RETOUCH_ERROR_PROFILE="azure",
        )
        with serving(command(azure, folder), "/", env, tmp_path) as url:
            refused = ask(f"{url}/score", quick(row(prompt="violence6"), row()))
            assert (refused.status, refused.json) == (200, {})
            passed = ask(f"{url}/score", quick())
            assert (passed.status, len(passed.json)) == (200, 1)
            broken = ask(f"{url}/score", quick(row(image="QUJD")))
            assert (broken.status, broken.headers["x-ms-run-function-failed"]) == (500, "True")


def test_half_a_configuration_of_content_safety_starts_no_server(
    azure: Path, folder: Path, tmp_path: Path
) -> None:
    env = deployed(azure, folder, CONTENT_SAFETY_KEY=KEY)
    with (
        pytest.raises(AssertionError, match="CONTENT_SAFETY_ENDPOINT: is not set"),
        serving(command(azure, folder), "/", env, tmp_path),
    ):
        pass


def test_the_batch_script_gives_a_line_for_each_row_and_fails_files_that_are_no_tables(
    azure: Path, folder: Path, tmp_path: Path
) -> None:
    good = table(tmp_path, row(), row(image="QUJD"))
    other = tmp_path / "notes.txt"
    other.write_text("no table")
    kept, failed = driven(azure, folder, tmp_path, [str(good)], [str(good), str(other)])
    lines = list(csv.reader(io.StringIO(kept["csv"])))
    assert [(line[0], line[2], line[3]) for line in lines] == [
        ("0", "False", "0batch_input.csv"), ("1", "", "0batch_input.csv"),
    ]  # fmt: skip
    assert_only_the_hole_changed(lines[0][1], IMAGE, MASK)
    assert lines[1][1] == ""
    assert "Not all input files were processed successfully" in failed["error"]
    assert "notes.txt" in failed["error"]


def test_the_safe_batch_keeps_a_refused_rows_place(azure: Path, folder: Path, tmp_path: Path) -> None:
    with content_safety() as service:
        path = table(tmp_path, row(prompt="violence6"), row())
        more = {"CONTENT_SAFETY_ENDPOINT": service.endpoint, "CONTENT_SAFETY_KEY": KEY}
        [kept] = driven(azure, folder, tmp_path, [str(path)], **more)
    first, second = csv.reader(io.StringIO(kept["csv"]))
    assert first == ["0", BLOCKED, "False", "0batch_input.csv"]
    assert second[1].startswith("iVBOR")
