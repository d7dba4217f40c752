"""Calls on fewer threads, where no bit depends on it."""

from collections.abc import Callable, Iterator

import pytest
import torch

from retouch.engine import team as team_module
from retouch.engine.team import Team
from retouch.engine.workers import gnu_runtime

pytestmark = pytest.mark.skipif(gnu_runtime() is None, reason="another runtime")


@pytest.fixture(autouse=True)
def four_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    yield
    torch.set_num_threads(before)


class Calls:
    """A call that notes on how many threads it is made, and gives `result` of that number."""

    def __init__(self, result: Callable[[int], torch.Tensor] = lambda _threads: torch.ones(3)) -> None:
        self.threads: list[int] = []
        self.result = result

    def __call__(self) -> torch.Tensor:
        self.threads.append(torch.get_num_threads())
        return self.result(self.threads[-1])


def run(wanted: list[int], calls: Calls) -> Team:
    """Make a call for each number of threads that is wanted; the first is always on all."""
    numbers = iter([4, *wanted])
    team = Team(lambda _most: next(numbers))
    for _ in range(len(wanted) + 1):
        team.run("what", calls, calls)
    return team


def test_a_quiet_machine_makes_each_call_once_on_all_threads() -> None:
    calls = Calls()
    run([4, 4], calls)
    assert calls.threads == [4, 4, 4]


def test_fewer_threads_are_tried_once_against_all_and_used_where_bits_are_equal() -> None:
    calls = Calls()
    run([2, 2, 4, 2, 1, 1], calls)
    assert calls.threads == [4, 2, 4, 2, 4, 2, 1, 4, 1]


def test_a_team_of_several_has_its_share_of_the_threads() -> None:
    calls = Calls()
    team = Team(lambda most: most, engines=2)
    for _ in range(3):
        team.run("what", calls, calls)
    assert calls.threads == [2, 4, 2, 2]  # the second to compare


def test_a_call_whose_bits_differ_stays_on_all_threads_and_gives_what_they_give() -> None:
    calls = Calls(lambda threads: torch.full((3,), float(threads)))
    numbers = iter([4, 2, 2, 1])
    team = Team(lambda _most: next(numbers))
    assert [team.run("what", calls, calls)[0].item() for _ in range(4)] == [4.0] * 4
    assert calls.threads == [4, 2, 4, 4, 4]


def test_numbers_that_are_equal_but_not_bit_for_bit_differ_and_nan_does_not() -> None:
    zeros = Calls(lambda threads: torch.tensor(0.0 if threads == 4 else -0.0))
    run([2, 2], zeros)
    assert zeros.threads == [4, 2, 4, 4]
    nan = Calls(lambda _threads: torch.tensor(torch.nan))
    run([2, 2], nan)
    assert nan.threads == [4, 2, 4, 2]


def test_a_result_that_lies_where_the_next_one_is_written_is_compared_as_it_was() -> None:
    buffer = torch.zeros(3)
    calls = Calls(buffer.fill_)
    run([2, 2], calls)
    assert calls.threads == [4, 2, 4, 4]


def test_what_is_compared_is_made_afresh_and_of_one_kind_says_nothing_of_another() -> None:
    call, afresh, numbers = Calls(), Calls(), iter([4, 4, 1, 1, 1])
    team = Team(lambda _most: next(numbers))
    for what in ("one", "other", "one", "one", "other"):
        team.run(what, call, afresh)
    assert call.threads == [4, 4, 1]
    assert afresh.threads == [1, 4, 1, 4]


def test_a_long_call_stays_on_all_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(team_module, "_LONG_S", 0.0)
    calls = Calls()
    run([2, 2], calls)
    assert calls.threads == [4, 4, 4]


def test_a_call_that_fails_on_fewer_threads_leaves_all_of_them_to_the_next() -> None:
    def fail(threads: int) -> torch.Tensor:
        if threads < 4:
            raise RuntimeError("no memory")
        return torch.ones(3)

    calls = Calls(fail)
    with pytest.raises(RuntimeError):
        run([2], calls)
    assert torch.get_num_threads() == 4
