"""Servers that share a folder know who is there, by locks that death releases."""

import fcntl
import subprocess
import sys
import threading
from collections.abc import Collection
from pathlib import Path

import pytest

from retouch.jobs.members import Members

OTHER = """
import sys
from pathlib import Path
from retouch.jobs.members import Members
members = Members.join(Path(sys.argv[1]))
members.tell("progress", b"half")
print(members.id, flush=True)
sys.stdin.read()
"""


def test_a_server_is_there_until_it_is_killed(tmp_path: Path) -> None:
    ours = Members.join(tmp_path)
    command = [sys.executable, "-c", OTHER, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout
        name = other.stdout.readline().strip()
        assert ours.lost({name, ours.id}) == frozenset()
        assert ours.told("progress") == {name: b"half"}
        other.kill()
        other.wait()
        assert ours.lost({name, ours.id}) == {name}
    ours.sweep()
    assert ours.told("progress") == {}
    assert [file.name for file in (tmp_path / "members").iterdir()] == [ours.id]
    ours.leave()


def test_a_name_that_nobody_has_is_lost(tmp_path: Path) -> None:
    ours = Members.join(tmp_path)
    assert ours.lost({"feed"}) == {"feed"}
    ours.leave()


def test_what_is_told_takes_the_place_of_what_was_and_is_not_heard_by_oneself(tmp_path: Path) -> None:
    ours, theirs = Members.join(tmp_path), Members.join(tmp_path)
    ours.tell("progress", b"one")
    ours.tell("progress", b"two")
    assert theirs.told("progress") == {ours.id: b"two"}
    assert ours.told("progress") == {}
    ours.leave()
    assert theirs.lost({ours.id}) == {ours.id}
    assert theirs.told("progress") == {}
    theirs.leave()
    assert not list((tmp_path / "members").iterdir())


def test_a_sweep_leaves_those_that_are_there(tmp_path: Path) -> None:
    ours, theirs = Members.join(tmp_path), Members.join(tmp_path)
    theirs.tell("metrics", b"1")
    ours.sweep()
    assert ours.lost({theirs.id}) == frozenset()
    assert ours.told("metrics") == {theirs.id: b"1"}
    for one in (ours, theirs):
        one.leave()


def test_one_that_joins_during_a_sweep_is_there_after_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ours, flock = Members.join(tmp_path), fcntl.flock
    is_made, is_joined, may_lock = threading.Event(), threading.Event(), threading.Event()
    joined: list[Members] = []

    def join() -> None:
        joined.append(Members.join(tmp_path))
        is_joined.set()

    newcomer = threading.Thread(target=join)

    def late(file: int, how: int) -> None:
        if threading.current_thread() is newcomer:
            is_made.set()
            assert may_lock.wait(20)
        flock(file, how)

    def looked(self: Members, names: Collection[str]) -> frozenset[str]:
        gone = lost(self, names)
        may_lock.set()
        is_joined.wait(1)
        return gone

    lost = Members.lost
    with monkeypatch.context() as patched:
        patched.setattr(fcntl, "flock", late)
        patched.setattr(Members, "lost", looked)
        newcomer.start()
        assert is_made.wait(20)
        ours.sweep()
        may_lock.set()
        newcomer.join(20)
    assert ours.lost({joined[0].id}) == frozenset()
    for one in (ours, *joined):
        one.leave()
