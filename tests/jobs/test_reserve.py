"""The reserve holds real space and gives it back."""

from pathlib import Path

from retouch.jobs.reserve import RESERVE_BYTES, Reserve


def test_it_holds_space_until_it_is_spent(tmp_path: Path) -> None:
    reserve = Reserve(tmp_path / "reserve")
    reserve.fill()
    stat = reserve.path.stat()
    assert stat.st_size == RESERVE_BYTES
    assert stat.st_blocks * 512 >= RESERVE_BYTES
    assert reserve.spend()
    assert not reserve.spend()
    assert not reserve.path.exists()


def test_filling_it_twice_changes_nothing(tmp_path: Path) -> None:
    reserve = Reserve(tmp_path / "reserve")
    reserve.fill()
    before = reserve.path.stat()
    reserve.fill()
    assert reserve.path.stat().st_ino == before.st_ino


def test_a_disk_without_room_for_it_is_no_error(tmp_path: Path) -> None:
    Reserve(tmp_path / "missing" / "reserve").fill()
