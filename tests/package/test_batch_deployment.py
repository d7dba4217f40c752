"""A batch deployment's file on this machine: what becomes an option, what is said, what is refused."""

from pathlib import Path

import pytest
import yaml

from retouch.errors import BadInput
from retouch.package.azure_folder import documents
from retouch.package.batch_deployment import BatchDeployment


def read(folder: Path, *, resources: object = None, **settings: object) -> BatchDeployment:
    """Read the file that a package has, with other settings."""
    document = documents()["batch-deployment.yml"]
    document = {**document, "settings": {**document["settings"], **settings}}
    if resources is not None:
        document["resources"] = resources
    path = folder / "deployment.yml"
    path.write_text(yaml.safe_dump(document))
    return BatchDeployment.read(path)


def test_failures_retries_time_and_output_become_options(tmp_path: Path) -> None:
    asked = {"max_retries": 4, "timeout": 60}
    found = read(tmp_path, error_threshold=7, retry_settings=asked, output_file_name="p.csv").settings()
    assert found == {
        "ray_actors": 1,
        "max_failures": "7",
        "attempts": 5,
        "deadline_s": 60.0,
        "formats": ["azure"],
        "output_file_name": "p.csv",
    }


def test_any_number_may_fail_where_the_threshold_is_below_zero(tmp_path: Path) -> None:
    assert "max_failures" not in read(tmp_path, error_threshold=-1).settings()


def test_without_a_summary_alone_rows_are_appended(tmp_path: Path) -> None:
    assert read(tmp_path, output_action="summary_only").settings()["formats"] == []
    (tmp_path / "deployment.yml").write_text("name: one\ntype: model\n")
    assert BatchDeployment.read(tmp_path / "deployment.yml").settings()["formats"] == ["azure"]


def test_as_many_models_as_instances_times_their_processes(tmp_path: Path) -> None:
    assert read(tmp_path, resources={"instance_count": 3}, max_concurrency_per_instance=2).models == 6
    assert read(tmp_path, resources={}, instance_count=2).models == 2


def test_variables_stand_in_the_settings(tmp_path: Path) -> None:
    assert read(tmp_path, environment_variables={"RETOUCH_SAFETY": "blur"}).variables == {"RETOUCH_SAFETY": "blur"}


def test_the_first_form_has_its_settings_beside_the_other_keys(tmp_path: Path) -> None:
    path = tmp_path / "deployment.yml"
    path.write_text("name: one\nmini_batch_size: 10\nretry_settings: {max_retries: 0}\nerror_threshold: 0\n")
    found = BatchDeployment.read(path)
    assert (found.settings()["attempts"], found.settings()["max_failures"]) == (1, "0")
    assert any(line.startswith("mini_batch_size has no meaning here") for line in found.without_meaning())


def test_what_has_no_meaning_here_is_said(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        resources={"instance_count": 1, "shm_size": "8g"},
        environment_variables={"RETOUCH_ERROR_PROFILE": "azure", "RETOUCH_SAFETY": "blur", "MINE": "1"},
    )
    said = "\n".join(found.without_meaning())
    for name in (
        "compute",
        "environment",
        "mini_batch_size",
        "logging_level",
        "shm_size",
        "RETOUCH_ERROR_PROFILE",
    ):
        assert f"{name} has no meaning here" in said
    for name in ("error_threshold", "retry_settings", "instance_count", "RETOUCH_SAFETY", "MINE"):
        assert name not in said


@pytest.mark.parametrize(
    ("content", "wrong"),
    [
        ("type: model\nsettings: {mini_batchsize: 1}", "'mini_batchsize' is no key"),
        ("type: model\nmini_batch_size: 1", "'mini_batch_size' is no key"),
        ("settings: {mini_batch_size: 1}", "'settings' is no key"),
        ("type: model\nsettings: {retry_settings: {tries: 1}}", "'tries' is no key"),
        ("type: model\nsettings: [1]", "settings is no object"),
        ("type: model\nresources: {instances: 1}", "'instances' is no key"),
        ("type: pipeline", "type is 'pipeline'"),
        ("type: model\ninstance_type: one", "'instance_type' is no key of a batch deployment"),
        ("type: model\nsettings: {error_threshold: -2}", "error_threshold is -2"),
        ("type: model\nsettings: {retry_settings: {timeout: 0}}", "timeout is 0"),
        ("type: model\nsettings: {output_action: append}", "output_action is 'append'"),
        ("- one", "not an object"),
    ],
)
def test_what_azures_classes_refuse_is_refused(tmp_path: Path, content: str, wrong: str) -> None:
    path = tmp_path / "deployment.yml"
    path.write_text(content)
    with pytest.raises(BadInput, match=wrong):
        BatchDeployment.read(path).settings()
