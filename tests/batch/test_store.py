"""Pictures are whole or absent, under names made here."""

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from retouch.batch.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with closing(Store(tmp_path, suffix=".png")) as opened:
        yield opened


def _files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_names_follow_from_the_row_alone(store: Store) -> None:
    assert store.name_of(7, 0) == "pictures/000000/000000007.png"
    assert store.name_of(1_234_567, 1) == "pictures/001234/001234567-2.png"


@pytest.mark.parametrize("rows", [1, 40])
def test_pictures_have_their_names_only_once_they_are_settled(store: Store, tmp_path: Path, rows: int) -> None:
    written = [one for row in range(rows) for one in store.write(row, [b"a", b"b"])]
    assert all(name.endswith(".tmp") for name in _files(tmp_path))
    store.settle(written)
    assert _files(tmp_path) == sorted(one.stored.name for one in written)
    assert all(store.is_whole(one.stored, thoroughly=True) for one in written)


def test_what_an_interrupted_run_left_is_swept_away(store: Store, tmp_path: Path) -> None:
    store.settle(store.write(1, [b"kept"]))
    store.write(2, [b"left", b"left"])
    assert store.sweep() == 2
    assert _files(tmp_path) == ["pictures/000000/000000001.png"]


def test_a_picture_is_known_again_by_its_hash_where_its_time_differs(store: Store, tmp_path: Path) -> None:
    (written,) = store.write(1, [b"picture"])
    store.settle([written])
    path = tmp_path / written.stored.name
    os.utime(path, ns=(1, 1))
    assert store.is_whole(written.stored)
    path.write_bytes(b"Picture")
    assert not store.is_whole(written.stored)
    os.utime(path, ns=(written.stored.changed_ns, written.stored.changed_ns))
    assert store.is_whole(written.stored)
    assert not store.is_whole(written.stored, thoroughly=True)
    path.unlink()
    assert not store.is_whole(written.stored)
