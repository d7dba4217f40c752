"""A deployment's file on this machine: what is honoured, what is said, what is refused."""

from pathlib import Path

import pytest
import yaml

from retouch.errors import BadInput
from retouch.package.azure_folder import documents
from retouch.package.online_deployment import OnlineDeployment


def written(folder: Path, **changes: object) -> Path:
    path = folder / "deployment.yml"
    path.write_text(yaml.safe_dump({**documents()["online-deployment.yml"], **changes}))
    return path


def test_time_and_concurrency_become_limits_of_the_server(tmp_path: Path) -> None:
    asked = {"request_timeout_ms": 90_000, "max_concurrent_requests_per_instance": 8}
    read = OnlineDeployment.read(written(tmp_path, instance_count=3, request_settings=asked))
    assert read.settings() == {"deadline_s": 90.0, "max_queued_rows": 48}
    assert read.instances == 3


def test_one_request_of_many_rows_always_has_room(tmp_path: Path) -> None:
    assert OnlineDeployment.read(written(tmp_path)).settings()["max_queued_rows"] == 8


def test_the_model_is_found_in_a_package_beside_the_file(tmp_path: Path) -> None:
    path = written(tmp_path)
    assert OnlineDeployment.read(path).model == str(tmp_path / "model")
    (tmp_path / "model" / "artifacts" / "checkpoint").mkdir(parents=True)
    assert OnlineDeployment.read(path).model == str(tmp_path / "model" / "artifacts" / "checkpoint")


def test_a_model_of_a_registry_is_not_fetched_and_that_is_said(tmp_path: Path) -> None:
    registry = "azureml://registries/azureml/models/runwayml-stable-diffusion-inpainting/labels/latest"
    read = OnlineDeployment.read(written(tmp_path, model=registry))
    assert read.model is None
    assert "model: no registry is asked; --model names the checkpoint" in list(read.without_meaning())


def test_what_has_no_meaning_here_is_said(tmp_path: Path) -> None:
    said = " ".join(OnlineDeployment.read(written(tmp_path)).without_meaning())
    for name in ("instance_type", "liveness_probe", "readiness_probe", "environment", "WORKER_COUNT"):
        assert f"{name} has no meaning here" in said
    assert "request_settings" not in said
    assert "instance_count has" not in said


@pytest.mark.parametrize(
    ("changes", "wrong"),
    [
        ({"instance_cout": 2}, "'instance_cout' is no key"),
        ({"request_settings": {"timeout_ms": 1}}, "'timeout_ms' is no key"),
        ({"instance_count": "many"}, "instance_count is 'many'"),
        ({"instance_count": 0}, "instance_count is 0"),
    ],
)
def test_what_azures_classes_refuse_is_refused(tmp_path: Path, changes: dict[str, object], wrong: str) -> None:
    path = written(tmp_path, **changes)
    with pytest.raises(BadInput, match=wrong):
        _ = OnlineDeployment.read(path).settings(), OnlineDeployment.read(path).instances


def test_what_is_no_yaml_is_refused(tmp_path: Path) -> None:
    (tmp_path / "deployment.yml").write_text("a: [")
    with pytest.raises(BadInput, match="cannot be read as YAML"):
        OnlineDeployment.read(tmp_path / "deployment.yml")
