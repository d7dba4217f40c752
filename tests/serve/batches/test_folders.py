"""Folders of batches: made durably, kept while a batch names them, and never more than their own."""

from pathlib import Path

import pytest

from retouch.batch.entry import Entry
from retouch.batch.ledger import NAME, Ledger
from retouch.errors import NotFound, StorageFailed
from retouch.serve.batches.folders import BatchFolders
from retouch.serve.batches.order import BatchOrder, Sent

ORDER = BatchOrder(Sent("csv", b"image\n"), {}, mask_image=b"mask")


def add_row(output: Path, row: int) -> None:
    output.mkdir(exist_ok=True)
    ledger = Ledger.open(output / NAME)
    ledger.add([Entry(row, "done", {})])
    ledger.close()


def test_a_folder_holds_what_was_sent(tmp_path: Path) -> None:
    folders = BatchFolders(tmp_path / "files")
    folder = folders.of(folders.make(ORDER))
    assert (folder.path / "input.csv").read_bytes() == b"image\n"
    assert folder.mask_image == b"mask"
    assert folder.size_bytes() == ORDER.size_bytes == 10


def test_what_nobody_names_is_removed_and_what_comes_in_is_not(tmp_path: Path) -> None:
    folders = BatchFolders(tmp_path)
    named, incoming, left = (folders.make(ORDER) for _ in range(3))
    folders.settle(named, is_kept=True)
    folders.settle(left, is_kept=True)
    assert folders.sweep(lambda: [named]) == 1
    assert {one.name for one in tmp_path.iterdir()} == {named, incoming}
    folders.settle(incoming, is_kept=False)
    assert {one.name for one in tmp_path.iterdir()} == {named}


def test_a_folder_that_is_named_meanwhile_stays(tmp_path: Path) -> None:
    folders, late = BatchFolders(tmp_path), []

    def named() -> list[str]:
        late.append(folders.make(ORDER))
        folders.settle(late[0], is_kept=True)
        return []

    assert folders.sweep(named) == 0
    assert (tmp_path / late[0]).is_dir()


def test_counts_are_none_before_the_ledger_is_there_or_whole(tmp_path: Path) -> None:
    folders = BatchFolders(tmp_path)
    folder = folders.of(folders.make(ORDER))
    assert (folder.counts().ended.total(), folder.counts().rows) == (0, None)
    folder.output.mkdir()
    (folder.output / NAME).touch()
    assert folder.counts().ended.total() == 0
    add_row(folder.output, 0)
    assert folder.counts().ended == {"done": 1}


def test_runs_that_end_without_a_row_are_counted_until_one_is_done(tmp_path: Path) -> None:
    folders = BatchFolders(tmp_path)
    folder = folders.of(folders.make(ORDER))
    assert [folder.begin() for _ in range(3)] == [0, 1, 2]
    add_row(folder.output, 0)
    assert [folder.begin() for _ in range(2)] == [0, 1]
    folder.end()
    assert folder.begin() == 0


def test_only_pictures_are_found_by_name(tmp_path: Path) -> None:
    folders = BatchFolders(tmp_path)
    folder = folders.of(folders.make(ORDER))
    picture = folder.output / "pictures" / "000000" / "000000000-2.png"
    picture.parent.mkdir(parents=True)
    picture.touch()
    assert folder.picture("pictures/000000/000000000-2.png") == picture
    for name in (
        "pictures/000000/000000001.png",
        "pictures/000000/000000000-2.png/",
        "../input.csv",
        "",
        "pictures",
    ):
        with pytest.raises(NotFound):
            folder.picture(name)


def test_counts_of_a_damaged_ledger_are_none(tmp_path: Path) -> None:
    folders = BatchFolders(tmp_path)
    folder = folders.of(folders.make(ORDER))
    folder.output.mkdir()
    (folder.output / NAME).write_bytes(bytes(4096))
    assert (folder.counts().ended.total(), folder.counts().rows) == (0, None)


def test_folders_that_cannot_be_listed_are_a_failure_of_the_storage(tmp_path: Path) -> None:
    folders = BatchFolders(tmp_path / "files")
    (tmp_path / "files").rmdir()
    with pytest.raises(StorageFailed):
        folders.sweep(list)
