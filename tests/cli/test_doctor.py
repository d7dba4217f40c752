import json
from collections.abc import Callable

import pytest
from typer.testing import Result

from retouch.cli.doctor import how_threads_wait, versions
from retouch.waiting import SPINS


def test_every_section_is_shown_and_the_self_test_passes(run: Callable[..., Result]) -> None:
    done = run("doctor", "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert set(found) == {"versions", "environment", "compute", "folders", "self_test"}
    assert found["self_test"]["ok"] is True
    assert found["self_test"]["kept_pixels_identical"] is True
    assert found["environment"]["HF_HUB_OFFLINE"] == "1"
    assert "fp32" in found["compute"]["fast_dtypes"].split(", ")
    assert found["compute"]["waiting"]


@pytest.mark.parametrize(
    ("set_by", "said"),
    [
        ({}, "as PyTorch does, which was loaded before retouch: slow beside other work"),
        ({"GOMP_SPINCOUNT": SPINS}, f"spins {SPINS} times, then sleeps"),
        ({"GOMP_SPINCOUNT": "7"}, "as you set it: GOMP_SPINCOUNT=7"),
        ({"OMP_WAIT_POLICY": "active"}, "as you set it: OMP_WAIT_POLICY=active"),
    ],
)
def test_how_threads_wait_is_told(set_by: dict[str, str], said: str) -> None:
    assert how_threads_wait(set_by) == said


def test_a_model_that_cannot_be_loaded_is_an_answer_and_exits_with_1(run: Callable[..., Result]) -> None:
    done = run("doctor", "--model", "no/such")
    assert done.exit_code == 1
    assert "no/such" in done.stdout
    assert "versions" in done.stdout


def test_versions_name_what_is_not_installed() -> None:
    found = versions()
    assert found["torch"] != "missing"
    assert all(found.values())
