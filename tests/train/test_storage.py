"""Atomic files and published folders."""

from pathlib import Path

import pytest
import torch

from retouch.train.storage import is_publishable, load_state, publish_folder, save_atomically


def test_saved_state_comes_back_and_leaves_no_partial_file(tmp_path: Path) -> None:
    save_atomically({"weight": torch.arange(3), "step": 4}, tmp_path / "new" / "state.pt")
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["state.pt"]
    assert load_state(tmp_path / "new" / "state.pt")["step"] == 4


def test_failed_save_keeps_the_old_file(tmp_path: Path) -> None:
    save_atomically({"step": 1}, tmp_path / "state.pt")
    with pytest.raises(Exception, match="lambda"):
        save_atomically({"step": lambda: None}, tmp_path / "state.pt")
    assert load_state(tmp_path / "state.pt") == {"step": 1}


def test_published_folder_changes_as_a_whole_and_keeps_the_version_before(tmp_path: Path) -> None:
    for text in ("one", "two", "three"):
        publish_folder(tmp_path / "latest", lambda folder, text=text: _write(folder, text))
        assert (tmp_path / "latest" / "file").read_text() == text
    assert sorted(path.name for path in tmp_path.iterdir()) == [".latest.v2", ".latest.v3", "latest"]


def test_failed_publication_leaves_the_old_version(tmp_path: Path) -> None:
    publish_folder(tmp_path / "latest", lambda folder: _write(folder, "one"))
    with pytest.raises(OSError, match="disk full"):
        publish_folder(tmp_path / "latest", _fail)
    assert (tmp_path / "latest" / "file").read_text() == "one"


def test_real_folder_is_never_replaced(tmp_path: Path) -> None:
    assert is_publishable(tmp_path / "latest")
    (tmp_path / "latest").mkdir()
    assert not is_publishable(tmp_path / "latest")
    with pytest.raises(FileExistsError):
        publish_folder(tmp_path / "latest", lambda folder: _write(folder, "one"))


def _write(folder: Path, text: str) -> None:
    (folder / "file").write_text(text)


def _fail(folder: Path) -> None:
    raise OSError("disk full")
