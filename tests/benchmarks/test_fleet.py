"""The simulation of a fleet, held to what queueing theory knows exactly."""

import argparse
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from benchmarks.fleet.check import drawn_steps, measured, predicted
from benchmarks.fleet.events import Events, Processor
from benchmarks.fleet.server import End, Machine, Work
from benchmarks.fleet.tables import TABLES
from benchmarks.fleet.times import Times, gpus, on_line, read
from benchmarks.fleet.traffic import Fleet, Report, Simulation, needed, steady

from retouch.engine.scheduler import Stage


@dataclass(frozen=True)
class OneCall:
    """A machine whose pictures cost one call each, of one second on average: theory's server."""

    draw: random.Random = field(default_factory=lambda: random.Random(7))
    is_random: bool = True
    before_s: float = 0.0
    after_s: float = 0.0

    def call_s(self, kind: Stage, rows: int) -> float:
        if kind is not Stage.DECODE:
            return 0.0
        return self.draw.expovariate(1.0) if self.is_random else 1.0


def one_at_a_time(times: OneCall, **fields: object) -> Fleet:
    return Fleet(Machine(times, row_cap=2, queue=10**6), 1, **fields)  # type: ignore[arg-type]


def painted(step_s: float = 1.0, **fields: float) -> Times:
    """Times of a machine whose steps alone take time, whatever their rows."""
    others = {Stage.TEXT: {1: 0.0}, Stage.PICTURES: {1: 0.0}, Stage.DECODE: {1: 0.0}}
    return Times({Stage.STEP: {2: step_s, 64: step_s}, **others}, **fields)


@pytest.mark.parametrize("load", [0.3, 0.6])
def test_random_work_waits_as_long_as_in_theory(load: float) -> None:
    report = steady(one_at_a_time(OneCall()), load, 10_000 / load, work=Work(1))
    assert report.mean_s == pytest.approx(1 / (1 - load), rel=0.08)  # M/M/1
    assert report.busy == pytest.approx(load, rel=0.03)


def test_even_work_waits_half_as_long() -> None:
    load = 0.6
    report = steady(one_at_a_time(OneCall(is_random=False)), load, 10_000 / load, work=Work(1))
    assert report.mean_s == pytest.approx(1 + load / (2 * (1 - load)), rel=0.05)  # M/D/1, Pollaczek-Khinchine


def test_latencies_have_the_tail_of_theory() -> None:
    report = steady(one_at_a_time(OneCall()), 0.3, 40_000, work=Work(1))
    # In turn, a sojourn in M/M/1 is exponential, with the mean 1 / (1 - load): ln 20 of it at 95 in a hundred.
    assert report.quantile_s(0.95) == pytest.approx(2.996 / 0.7, rel=0.08)


@pytest.mark.parametrize("size", [lambda draw: 1.0, lambda draw: draw.expovariate(1.0)])
def test_a_shared_processor_slows_all_alike(size: Callable[[random.Random], float]) -> None:
    events, draw, taken = Events(), random.Random(3), []
    processor = Processor(events)

    def arrive() -> None:
        if events.now < 60_000:
            born = events.now
            processor.run(size(draw), lambda: taken.append(events.now - born))
            events.after(draw.expovariate(0.5), arrive)

    arrive()
    events.run()
    assert sum(taken) / len(taken) == pytest.approx(1 / (1 - 0.5), rel=0.05)  # M/G/1 with processor sharing


@pytest.mark.slow
def test_the_better_of_two_waits_as_long_as_in_theory() -> None:
    fleet = replace(one_at_a_time(OneCall()), replicas=100, policy="two")
    report = steady(fleet, 0.9 * 100, 600, work=Work(1))
    # Mitzenmacher 1996, for many servers: the sum of load^(2^i - 2); it begins empty, which takes a little away.
    assert report.mean_s == pytest.approx(sum(0.9 ** (2**i - 2) for i in range(1, 9)), rel=0.08)


def troubled(seed: int) -> Report:
    times = painted(before_s=0.1, after_s=0.1)
    fleet = Fleet(Machine(times, queue=8, row_cap=4), 4, slow=1, deaths=((30.0, 2), (90.0, 1)), policy="two")
    return Simulation(fleet, seed=seed).open(4.0, 120.0, iter(lambda: Work(4), None))


def test_whoever_came_was_answered_refused_or_lost() -> None:
    report = troubled(seed=5)
    assert report.arrived == sum(report.ends.values()) == sum(report.tries.values())
    assert all(report.ends[end] > 0 for end in End)
    assert len(report.latencies_s) == report.ends[End.ANSWERED]


def test_a_seed_is_one_run() -> None:
    assert troubled(seed=5) == troubled(seed=5)
    assert troubled(seed=5).latencies_s != troubled(seed=6).latencies_s


def test_whoever_waits_for_the_same_shares_a_call() -> None:
    fleet = Fleet(Machine(painted(), row_cap=8), 1)
    report = Simulation(fleet, seed=1).closed(4, [Work(10)] * 4)
    # The first makes two steps while the others' texts and pictures are encoded: then all go on together.
    assert report.seconds == pytest.approx(12.0)
    assert report.step_rows == pytest.approx(4 * 10 * 2 / 12)


def test_more_rows_than_a_call_holds_take_turns() -> None:
    fleet = Fleet(Machine(painted(), row_cap=4), 1)
    report = Simulation(fleet, seed=1).closed(4, [Work(10)] * 4)
    assert report.seconds == pytest.approx(21.0)
    assert report.quantile_s(0.0) >= 18.0  # they go on side by side, not one pair after the other


def test_a_refused_client_comes_again_when_it_was_told_to() -> None:
    fleet = Fleet(Machine(painted(0.9), queue=1), 1, tries=9)
    report = Simulation(fleet, seed=1).closed(2, [Work(3)] * 2)
    assert report.ends == {End.ANSWERED: 2}
    assert report.tries[End.REFUSED] == 3  # nothing is known of the rate yet, and a second is the first guess
    assert report.latencies_s == [pytest.approx(2.7), pytest.approx(5.7)]


def test_what_a_dead_replica_had_is_sent_again() -> None:
    fleet = Fleet(Machine(painted(), start_s=100.0), 2, deaths=((5.0, 1),), tries=2)
    report = Simulation(fleet, seed=1).closed(2, [Work(10)] * 2)
    assert report.ends == {End.ANSWERED: 2}
    assert report.tries[End.LOST] == 1
    assert max(report.latencies_s) > 15.0  # from the beginning, beside the other


def test_without_a_replica_that_is_up_everybody_is_refused_until_one_is_back() -> None:
    fleet = Fleet(Machine(painted(), start_s=20.0), 1, deaths=((1.0, 1),), tries=30)
    report = Simulation(fleet, seed=1).closed(1, [Work(5)])
    assert report.ends == {End.ANSWERED: 1}
    assert report.latencies_s == [pytest.approx(26.0, abs=1.0)]


def test_a_slow_replica_gets_less_from_who_looks_at_the_load() -> None:
    def late(policy: str) -> float:
        fleet = Fleet(Machine(painted(0.1)), 10, slow=1, slowness=4.0, policy=policy)  # type: ignore[arg-type]
        return steady(fleet, 30.0, 60.0, work=Work(10)).quantile_s(0.95)

    assert max(late("least"), late("two")) < 0.8 * late("random")


def test_the_fewest_replicas_that_suit_are_found() -> None:
    fleet = Fleet(Machine(painted(), row_cap=2, queue=4), 1)

    def fits(report: Report) -> bool:
        return not report.ends[End.REFUSED]

    count, report = needed(fleet, 2.0, 100.0, work=Work(1), fits=fits)
    assert fits(report)
    assert count > 1
    assert not fits(steady(replace(fleet, replicas=count - 1), 2.0, 100.0, work=Work(1)))


@pytest.mark.parametrize(("rows", "seconds"), [(1, 2.0), (2, 2.0), (3, 3.0), (4, 4.0), (6, 8.0), (12, 20.0)])
def test_times_run_on_lines(rows: int, seconds: float) -> None:
    assert on_line({2: 2.0, 4: 4.0, 8: 12.0}, rows) == pytest.approx(seconds)


def test_derived_times_give_back_what_was_published() -> None:
    known = gpus()
    assert [known["H100"].fill_s(10, pictures) for pictures in (1, 4)] == pytest.approx([0.380, 0.666])
    steps = [known["A100"].call_s(Stage.STEP, rows) for rows in (2, 8, 32)]
    assert [1 / seconds for seconds in steps] == pytest.approx([23.23, 13.31, 3.66])


def test_two_cores_are_told_to_make_nearly_twice_as_much() -> None:
    steps = drawn_steps(64)
    one, two = (predicted(read(), replicas, steps, 8) for replicas in (1, 2))
    assert 1.6 < two.per_s / one.per_s < 2.0  # not twice: calls have half as many rows, and the last ones are few
    assert one.quantile_s(0.95) > two.quantile_s(0.95)


@pytest.mark.slow
def test_real_servers_are_asked_what_the_simulation_is() -> None:
    found = measured(1, [1, 2, 1], 2)
    assert found.wall.ends == found.core.ends == {End.ANSWERED: 3}
    assert 0 < found.core.seconds <= 1.05 * found.wall.seconds  # one core, told in ticks
    assert all(seconds > 0 for seconds in found.wall.latencies_s)


PAGE = Path(__file__).parents[2] / "docs/scale.md"


@pytest.mark.parametrize(
    "table",
    [
        "rows",
        "limits",
        pytest.param("requests", marks=pytest.mark.slow),
        pytest.param("batch", marks=pytest.mark.slow),
        pytest.param("breaks", marks=pytest.mark.slow),
    ],
)
def test_the_page_shows_what_the_script_prints(table: str) -> None:
    rates = [1.0, 100.0] if table == "requests" else [1.0, 100.0, 10_000.0]  # the largest takes minutes
    printed = list(TABLES[table](argparse.Namespace(rates=rates, price=[], gpu=None)))
    assert len(printed) > 5
    assert set(printed) <= set(PAGE.read_text(encoding="utf-8").splitlines())


def test_a_price_is_told_for_the_hours_that_are_needed() -> None:
    args = argparse.Namespace(price=[2.0, 5.0], gpu="H100")
    cells = next(line for line in TABLES["rows"](args) if line.startswith("| H100")).split(" | ")
    hours, cheap, dear = (float(cells[at].strip("| ").replace(",", "")) for at in (2, 5, 6))
    assert (cheap, dear) == (pytest.approx(2 * hours, rel=1e-3), pytest.approx(5 * hours, rel=1e-3))
