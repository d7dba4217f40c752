"""Blobs in files: whole, private and durable, or not there."""

import errno
import os
from pathlib import Path

import pytest
from tests.jobs.drafts import png

from retouch.errors import StorageFailed
from retouch.jobs.bundles import NO_BLOBS, Bundle, BundleFolder

BLOBS = (png(b"picture"), png(b"", "empty"), png(b"mask", "mask"))


@pytest.fixture
def folder(tmp_path: Path) -> BundleFolder:
    return BundleFolder.make(tmp_path / "blobs")


def test_each_blob_is_read_back_from_its_place(folder: BundleFolder) -> None:
    bundle = folder.write(BLOBS)
    for blob in BLOBS:
        place = bundle.find(blob.name)
        assert place
        file = folder.open(bundle, *place)
        assert file
        with file:
            assert (file.info, file.read()) == (blob.info, blob.data)


def test_a_blob_is_read_in_pieces_though_its_file_is_deleted(folder: BundleFolder) -> None:
    bundle = folder.write(BLOBS)
    file = folder.open(bundle, bundle.blobs[0], 0)
    assert file
    folder.delete([bundle])
    with file:
        assert [file.read(4) for _ in range(3)] == [b"pict", b"ure", b""]


def test_a_bundle_knows_its_blobs_without_reading(folder: BundleFolder) -> None:
    bundle = folder.write(BLOBS)
    assert bundle.blobs == tuple(blob.info for blob in BLOBS)
    assert bundle.size_bytes == 11
    assert bundle.find("other") is None


def test_no_blobs_make_no_file(folder: BundleFolder) -> None:
    assert folder.write(()) is NO_BLOBS
    assert not folder.present()


def test_a_deleted_file_reads_as_none(folder: BundleFolder) -> None:
    bundle = folder.write(BLOBS)
    folder.delete([bundle, NO_BLOBS])
    folder.delete([bundle])
    assert folder.open(bundle, bundle.blobs[0], 0) is None


def test_a_file_that_was_cut_is_damaged(folder: BundleFolder) -> None:
    bundle = folder.write(BLOBS)
    os.truncate(folder.path / str(bundle.file), 9)
    with pytest.raises(StorageFailed, match="damaged"):
        folder.open(bundle, bundle.blobs[2], 7)


def test_files_and_their_folder_are_their_owners_alone(folder: BundleFolder) -> None:
    bundle = folder.write(BLOBS)
    assert (folder.path / str(bundle.file)).stat().st_mode & 0o777 == 0o600
    assert folder.path.stat().st_mode & 0o777 == 0o700


def test_strange_files_are_not_taken_for_bundles(folder: BundleFolder) -> None:
    (folder.path / "notes.txt").write_text("mine")
    bundle = folder.write(BLOBS)
    assert folder.present() == {bundle.file}


def test_the_file_and_its_name_are_durable_before_the_bundle_is_there(
    folder: BundleFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []

    def record(descriptor: int) -> None:
        synced.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))

    monkeypatch.setattr(os, "fsync", record)
    bundle = folder.write(BLOBS)
    assert synced == [str(folder.path / str(bundle.file)), str(folder.path)]


@pytest.mark.parametrize("failing", [0, 1])
@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC])
def test_a_failing_disk_is_told_and_leaves_nothing(
    folder: BundleFolder, monkeypatch: pytest.MonkeyPatch, failing: int, number: int
) -> None:
    calls = iter(range(9))

    def fail(_: int) -> None:
        if next(calls) == failing:
            raise OSError(number, os.strerror(number), "/a/secret/path")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(StorageFailed) as raised:
        folder.write(BLOBS)
    assert not folder.present()
    assert "secret" not in str(raised.value) + raised.value.hint


def test_a_missing_folder_is_a_failure_of_storage(tmp_path: Path) -> None:
    with pytest.raises(StorageFailed):
        BundleFolder(tmp_path / "missing").write(BLOBS)
    assert BundleFolder(tmp_path).open(Bundle(f"{'0' * 32}.blobs", ()), BLOBS[0].info, 0) is None
