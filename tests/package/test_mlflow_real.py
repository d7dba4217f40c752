"""The package under the real MLflow, loaded and served."""

import json
import subprocess
from pathlib import Path

import pytest
from tests.package.platforms import serving, variables
from tests.safety.azure.service import KEY
from tests.safety.azure.service import running as content_safety
from tests.serve.dialects.tables import IMAGE, MASK, ask, row, split
from tests.serve.pictures import assert_only_the_hole_changed

HERE = Path(__file__).parent
QUICK = {"num_inference_steps": 1, "seed": 7}

pytestmark = pytest.mark.slow


def command(mlflow: Path, folder: Path) -> list[str | Path]:
    return [mlflow / "mlflow", "models", "serve", "-m", folder / "model", "--env-manager", "local"]


def on_path(mlflow: Path, **more: str) -> dict[str, str]:
    return variables(PATH=f"{mlflow}:/usr/bin:/bin", MLFLOW_DISABLE_TELEMETRY="true", **more)


def test_load_model_predicts_with_the_packages_own_code(mlflow: Path, folder: Path, tmp_path: Path) -> None:
    given = {"table": split(row(), row(seed=1)), "params": QUICK}
    done = subprocess.run(
        [mlflow / "python", HERE / "load.py", folder / "model"],
        check=False, input=json.dumps(given), env=on_path(mlflow), cwd=tmp_path, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    told = json.loads(done.stdout.splitlines()[-1])
    first, again = told["answers"]
    assert first == again
    assert [list(entry) for entry in first] == [["prompt", "generated_image", "nsfw_content_detected"]] * 2
    assert_only_the_hole_changed(first[0]["generated_image"], IMAGE, MASK)
    assert told["code"] == str(folder / "model" / "code" / "retouch" / "__init__.py")
    required = [("prompt", "string", True), ("image", "binary", True), ("mask_image", "binary", True)]
    assert [tuple(one) for one in told["inputs"]][:3] == required
    assert {"num_inference_steps", "guidance_scale", "seed"} <= set(told["params"])


def test_models_serve_answers_the_cards_rows(mlflow: Path, folder: Path, tmp_path: Path) -> None:
    with serving(command(mlflow, folder), "/ping", on_path(mlflow), tmp_path) as url:
        # The card's two rows; MLflow's name of the table is `dataframe_split`, where Azure's is `input_data`.
        table = split(row(prompt="a yellow cat"), row(prompt="a green cat"), index=[0, 1])
        reply = ask(f"{url}/invocations", {"dataframe_split": table, "params": QUICK})
        assert reply.status == 200, reply.body
        entries = reply.json["predictions"]
        assert [entry["prompt"] for entry in entries] == ["a yellow cat", "a green cat"]
        assert [entry["nsfw_content_detected"] for entry in entries] == [False, False]
        assert_only_the_hole_changed(entries[0]["generated_image"], IMAGE, MASK)

        one_bad = ask(f"{url}/invocations", {"dataframe_records": [row(), row(image="QUJD")], "params": QUICK})
        good, bad = one_bad.json["predictions"]
        assert good["error"] is None
        assert good["generated_image"]
        assert bad["generated_image"] is None
        assert json.loads(bad["error"])["code"] == "image_format"

        # MLflow itself: it knows no `input_data`, and drops what `columns` does not name.
        assert ask(f"{url}/invocations", {"input_data": table}).status == 400
        misnamed = {**table, "columns": ["prompt", "image", "mask"]}
        reply = ask(f"{url}/invocations", {"dataframe_split": misnamed})
        assert reply.status == 400
        assert "mask_image" in reply.json["message"]


def test_models_serve_asks_content_safety_where_its_variables_are_set(
    mlflow: Path, folder: Path, tmp_path: Path
) -> None:
    with content_safety() as service:
        env = on_path(mlflow, CONTENT_SAFETY_ENDPOINT=service.endpoint, CONTENT_SAFETY_KEY=KEY)
        with serving(command(mlflow, folder), "/ping", env, tmp_path) as url:
            records = [row(prompt="violence6")]
            refused = ask(f"{url}/invocations", {"dataframe_records": records, "params": QUICK})
            assert refused.status == 400
            assert "refused: violence" in refused.json["message"]
        assert [call.kind for call in service.calls] == ["text"]
