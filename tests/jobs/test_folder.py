"""One folder, one store; and where it is."""

import subprocess
import sys
from pathlib import Path

import pytest

from retouch.errors import BadInput, OutputInUse
from retouch.jobs.folder import LockedFolder, default_jobs_folder

HOLDER = """
import sys
from pathlib import Path
from retouch.jobs.folder import LockedFolder
locked = LockedFolder.take(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


def test_jobs_are_kept_in_the_users_state_folder() -> None:
    assert default_jobs_folder({"HOME": "/home/ann"}) == Path("/home/ann/.local/state/retouch/jobs")
    assert default_jobs_folder({"HOME": "/home/ann", "XDG_STATE_HOME": "/state"}) == Path("/state/retouch/jobs")


def test_a_relative_state_folder_is_ignored() -> None:
    folder = default_jobs_folder({"HOME": "/home/ann", "XDG_STATE_HOME": "state"})
    assert folder == Path("/home/ann/.local/state/retouch/jobs")


@pytest.mark.parametrize("environment", [{}, {"HOME": ""}, {"HOME": "relative"}])
def test_without_a_home_a_folder_must_be_named(environment: dict[str, str]) -> None:
    with pytest.raises(BadInput) as raised:
        default_jobs_folder(environment)
    assert "--jobs-folder" in raised.value.hint


def test_a_folder_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    LockedFolder.take(tmp_path / "a" / "b").release()
    assert (tmp_path / "a" / "b").stat().st_mode & 0o777 == 0o700


def test_a_second_store_of_the_same_process_is_refused(tmp_path: Path) -> None:
    first = LockedFolder.take(tmp_path)
    with pytest.raises(OutputInUse):
        LockedFolder.take(tmp_path)
    first.release()
    LockedFolder.take(tmp_path).release()


def test_another_process_is_named_and_its_death_lets_go(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLDER, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(OutputInUse, match=f"process {holder.pid}"):
            LockedFolder.take(tmp_path)
        holder.kill()
    LockedFolder.take(tmp_path).release()


def test_a_folder_that_cannot_be_made_is_bad_input(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match="cannot be kept in"):
        LockedFolder.take(tmp_path / "file" / "jobs")
