"""`retouch serve --ray`: what is refused before there is a cluster, and what replicas are made of."""

import pickle
from pathlib import Path

import pytest
from typer.testing import CliRunner

from retouch.cli.replicas import application, as_replicas, specs
from retouch.cli.serve import app, settings_of
from retouch.errors import BadInput, RetouchError

GIVEN = {
    "ray": "local",
    "device": "auto",
    "replicas": "2",
    "replica_gpus": None,
    "replica_rows": None,
    "max_queued_requests": None,
    "also": None,
    "threads": None,
    "limit": None,
}


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (["--replicas", "2"], "--ray"),
        (["--also", "one=x"], "--ray"),
        (["--ray", "nowhere"], "address"),
        (["--ray", "--replicas", "many"], "--replicas"),
        (["--ray", "--device", "cuda:0,cuda:1"], "--device"),
        (["--ray", "--also", "Upper=x"], "--also"),
        (["--ray", "--also", "a=x", "--also", "a=y"], "--also"),
        (["--ray", "--also", "a="], "--also"),
    ],
)
def test_what_cannot_be_is_refused_before_there_is_a_cluster(options: list[str], word: str) -> None:
    result = CliRunner().invoke(app, ["--check", *options])
    assert isinstance(result.exception, BadInput)
    assert word in f"{result.exception} {result.exception.hint}"


def test_ray_may_stand_without_an_address() -> None:
    result = CliRunner().invoke(app, ["--check", "--ray"])
    assert result.exit_code == 0, result.exception


def test_engines_of_one_kind_are_replicas() -> None:
    several = as_replicas(GIVEN | {"device": "cpu,cpu,cpu", "replicas": None})
    assert (several["device"], several["replicas"]) == ("cpu", "3")
    assert as_replicas(GIVEN | {"device": "cpu,cpu"})["replicas"] == "2"
    assert as_replicas(GIVEN | {"device": "cuda:0,cuda:1"})["device"] == "cuda:0,cuda:1"


def test_replicas_get_digests_and_no_keys(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    key = "a-key-that-nobody-guesses"
    monkeypatch.setenv("RETOUCH_API_KEYS", key)
    found, _ = specs(GIVEN, settings_of(GIVEN | {"jobs_folder": tmp_path}), gpus=0.0)
    sent = pickle.dumps(found[""])
    assert key.encode() not in sent
    assert pickle.loads(sent).keyring.find(key) is not None


def test_replicas_share_a_folder_and_do_each_others_jobs(tmp_path: Path) -> None:
    found, scale = specs(GIVEN, settings_of(GIVEN | {"jobs_folder": tmp_path}), gpus=0.0)
    assert (scale.least, scale.most, scale.gpus) == (2, 2, 0.0)
    assert found[""].settings.jobs_folder == tmp_path
    assert found[""].settings.resume_jobs


def test_another_model_has_a_path_jobs_and_loras_of_its_own(checkpoint: Path, tmp_path: Path) -> None:
    given = GIVEN | {"also": [f"tiny={checkpoint},one.safetensors:0.5,two.safetensors"]}
    found, _ = specs(given, settings_of(given | {"jobs_folder": tmp_path}), gpus=0.5)
    other = found["/models/tiny"]
    assert other.root == "/models/tiny"
    assert other.settings.jobs_folder == tmp_path / "models" / "tiny"
    [loaded] = other.load.checkpoints  # type: ignore[attr-defined]
    assert (loaded.model, loaded.lora) == (str(checkpoint), ["one.safetensors:0.5", "two.safetensors"])
    assert loaded.device == "cuda"
    [main] = found[""].load.checkpoints  # type: ignore[attr-defined]
    assert (main.model, main.lora) == (None, None)


def test_a_model_that_is_not_there_is_told_of_at_once(tmp_path: Path) -> None:
    given = GIVEN | {"also": [f"other={tmp_path / 'missing'}"]}
    with pytest.raises(RetouchError, match="missing"):
        specs(given, settings_of(given | {"jobs_folder": tmp_path}), gpus=0.0)


def test_an_unknown_name_in_a_config_is_refused() -> None:
    with pytest.raises(BadInput, match="replicaz"):
        application({"replicaz": 2})
