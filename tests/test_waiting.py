"""How threads wait is decided before PyTorch is there, and by the user first."""

import os
import subprocess
import sys

import pytest

from retouch.waiting import CHOICES, SPINS

SHOW = "import os, sys; print(os.environ.get('GOMP_SPINCOUNT'), 'torch' in sys.modules)"


def environment(**set_by_user: str) -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in CHOICES} | set_by_user


def shown(code: str, **set_by_user: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment(**set_by_user), check=True, capture_output=True, text=True
    )
    return done.stdout.split()


def test_importing_retouch_bounds_the_spinning_and_loads_nothing_heavy() -> None:
    assert shown(f"import retouch; {SHOW}") == [SPINS, "False"]


@pytest.mark.parametrize("chosen", [{"GOMP_SPINCOUNT": "7"}, {"OMP_WAIT_POLICY": "active"}])
def test_what_the_user_chose_stays(chosen: dict[str, str]) -> None:
    assert shown(f"import retouch; {SHOW}", **chosen)[0] == chosen.get("GOMP_SPINCOUNT", "None")


def test_a_runtime_that_is_loaded_already_is_not_told_and_nobody_pretends() -> None:
    stand_in = "import sys, types; sys.modules['torch'] = types.ModuleType('torch')"
    assert shown(f"{stand_in}; import retouch; {SHOW}")[0] == "None"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="GNU's runtime is what PyTorch has on Linux")
def test_the_runtime_heard_it() -> None:
    # It prints what it took from the environment as it is loaded.
    done = subprocess.run(
        [sys.executable, "-c", "import retouch, torch"],
        env=environment(OMP_DISPLAY_ENV="verbose"),
        check=True,
        capture_output=True,
        text=True,
    )
    if "GOMP_SPINCOUNT" not in done.stderr:
        pytest.skip("another runtime than GNU's")
    assert f"GOMP_SPINCOUNT = '{SPINS}'" in done.stderr
