import json
from collections.abc import Callable
from pathlib import Path

from typer.testing import Result


def test_show_tells_kind_size_and_hash(run: Callable[..., Result], checkpoint: Path) -> None:
    found = json.loads(run("models", "show", str(checkpoint), "--json").stdout)
    assert found["kind"] == "concat"
    assert found["native_size"] == 32
    assert len(found["content_hash"]) == 64
    assert found["path"] == str(checkpoint)


def test_show_lists_the_words_of_a_small_model(
    run: Callable[..., Result], checkpoint: Path, tmp_path: Path
) -> None:
    (folder := tmp_path / "worded").mkdir()
    for part in checkpoint.iterdir():
        (folder / part.name).symlink_to(part)
    (folder / "retouch.json").write_text('{"vocabulary": ["red", "apple"]}')
    assert "vocabulary: apple, red" in run("models", "show", str(folder), "--words").stdout


def test_list_finds_the_checkpoints_of_a_folder(run: Callable[..., Result], checkpoint: Path) -> None:
    done = run("models", "list", str(checkpoint.parent), "--json")
    assert str(checkpoint) in [model["name"] for model in json.loads(done.stdout)["models"]]


def test_list_tells_why_something_cannot_be_used(run: Callable[..., Result], tmp_path: Path) -> None:
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "model_index.json").write_text("{}")
    done = run("models", "list", str(tmp_path))
    assert done.exit_code == 0
    assert "cannot be used" in done.stderr
    assert "broken" in done.stderr


def test_download_of_what_is_missing_says_so_offline(run: Callable[..., Result]) -> None:
    done = run("models", "download", "no/such-model")
    assert done.exit_code == 2
    assert "no/such-model" in done.stderr


def test_a_checkpoint_on_this_disk_needs_no_download(run: Callable[..., Result], checkpoint: Path) -> None:
    assert run("models", "download", str(checkpoint)).stdout.strip() == str(checkpoint)
