"""The engine: every trajectory gets its next call, and a failure ends one only."""

import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

from retouch.engine.engine import Engine
from retouch.engine.plan import Plan
from retouch.engine.scheduler import Stage
from retouch.engine.settings import EngineSettings
from retouch.errors import (
    Cancelled,
    DeadlineExceeded,
    EngineClosed,
    GenerationFailed,
    InvalidField,
    NonFinite,
    OutOfMemory,
    QueueFull,
)
from retouch.models.bundle import ModelBundle

MAKE_PLAN = Callable[..., Plan]
WATCHED = Callable[..., ModelBundle]


class Gate:
    """Holds the engine in its first UNet call until a test has set up what it wants to see."""

    def __init__(self) -> None:
        self.reached, self.opened = threading.Event(), threading.Event()

    def __call__(self, number: int, _: torch.Tensor) -> None:
        if number == 1:
            self.reached.set()
            assert self.opened.wait(timeout=60)


def is_marked(sample: torch.Tensor) -> torch.Tensor:
    """Say of each row of a UNet call whether its plan repaints everything: the mark of a poisoned plan."""
    return sample[:, 4].flatten(1).amin(1) == 1.0


def marked(plan: Plan) -> Plan:
    return replace(plan, mask=torch.ones_like(plan.mask))


def test_a_plan_becomes_a_picture(engine: Engine, plan: MAKE_PLAN) -> None:
    done = engine.submit(plan(3)).future.result(timeout=60)
    assert done.image.shape == (3, 32, 32)
    assert done.image.dtype == torch.float32
    assert 0.0 <= float(done.image.min()) < float(done.image.max()) <= 1.0
    assert done.latents.shape == (4, 8, 8)
    assert (done.seed, done.calls) == (3, 4)
    assert set(done.timings_s) == {"queued", "encode text", "encode pictures", "step", "decode"}


def test_a_plan_of_strength_0_is_answered_at_once_by_its_own_picture(engine: Engine, plan: MAKE_PLAN) -> None:
    image = torch.rand(3, 17, 23) * 2 - 1  # no side divides by anything
    ticket = engine.submit(plan(3, strength=0.0, image=image, mask=torch.ones(1, 17, 23)))
    assert ticket.future.done()
    done = ticket.future.result()
    torch.testing.assert_close(done.image, image / 2 + 0.5)
    assert (done.seed, done.calls, ticket.progress.step, ticket.progress.total) == (3, 0, 0, 0)
    assert not engine.stats().calls
    engine.close()
    with pytest.raises(EngineClosed):
        engine.submit(plan(3, strength=0.0))


def test_plans_from_many_threads_all_end(engine: Engine, plan: MAKE_PLAN) -> None:
    futures: list[Any] = [None] * 12

    def submit(number: int) -> None:
        futures[number] = engine.submit(plan(number, num_inference_steps=1 + number % 4)).future

    threads = [threading.Thread(target=submit, args=(n,)) for n in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [future.result(timeout=60).seed for future in futures] == list(range(12))


def test_a_newcomer_joins_at_the_next_call_and_a_short_plan_overtakes(watched: WATCHED, plan: MAKE_PLAN) -> None:
    gate, sizes, order = Gate(), [], []

    def watch(number: int, sample: torch.Tensor) -> None:
        sizes.append(len(sample))
        gate(number, sample)

    with Engine(watched(watch)) as engine:
        long = engine.submit(plan(0, num_inference_steps=8)).future
        assert gate.reached.wait(timeout=60)
        short = engine.submit(plan(1, num_inference_steps=2)).future
        for name, future in (("long", long), ("short", short)):
            future.add_done_callback(lambda _, name=name: order.append(name))
        gate.opened.set()
        long.result(timeout=60)
    assert order == ["short", "long"]
    assert 4 in sizes
    assert len(sizes) < 8 + 2


def test_rows_not_requests_fill_a_call(watched: WATCHED, plan: MAKE_PLAN) -> None:
    gate, sizes = Gate(), []

    def watch(number: int, sample: torch.Tensor) -> None:
        sizes.append(len(sample))
        gate(number, sample)

    with Engine(watched(watch, row_cap=4)) as engine:
        tickets = [engine.submit(plan(0, num_inference_steps=1))]
        assert gate.reached.wait(timeout=60)
        tickets += [engine.submit(plan(n, num_inference_steps=1, guidance_scale=1.0)) for n in range(1, 5)]
        gate.opened.set()
        for ticket in tickets:
            ticket.future.result(timeout=60)
    assert sizes == [2, 4]


@pytest.mark.parametrize("step", range(1, 6))
def test_cancel_at_each_step_ends_before_the_next_call(step: int, watched: WATCHED, plan: MAKE_PLAN) -> None:
    made: list[int] = []
    tickets: list[Any] = []
    ready = threading.Event()

    def watch(number: int, _: torch.Tensor) -> None:
        assert ready.wait(timeout=60)
        made.append(number)
        if number == step:
            tickets[0].cancel()

    with Engine(watched(watch)) as engine:
        tickets.append(engine.submit(plan(num_inference_steps=5)))
        ready.set()
        with pytest.raises(Cancelled):
            tickets[0].future.result(timeout=60)
        tickets[0].cancel()
        assert made == list(range(1, step + 1))
        assert engine.submit(plan(1, num_inference_steps=1)).future.result(timeout=60).calls == 1


def test_cancel_before_the_first_call_costs_none(watched: WATCHED, plan: MAKE_PLAN) -> None:
    gate = Gate()
    with Engine(watched(gate)) as engine:
        first = engine.submit(plan(0, num_inference_steps=1))
        assert gate.reached.wait(timeout=60)
        second = engine.submit(plan(1))
        second.cancel()
        gate.opened.set()
        first.future.result(timeout=60)
        with pytest.raises(Cancelled):
            second.future.result(timeout=60)
        assert second.progress.step == 0
        assert engine.stats().calls[Stage.PICTURES] == 1


def test_a_passed_deadline_ends_its_trajectory_only(watched: WATCHED, plan: MAKE_PLAN) -> None:
    now = [0.0]

    def watch(_number: int, _sample: torch.Tensor) -> None:
        now[0] += 1.0

    with Engine(watched(watch), clock=lambda: now[0]) as engine:
        late, free = engine.submit(plan(0, deadline=2.5)), engine.submit(plan(1))
        with pytest.raises(DeadlineExceeded):
            late.future.result(timeout=60)
        assert late.progress.step == 3
        free.future.result(timeout=60)


def test_a_full_queue_refuses_at_once_and_says_when_to_come_again(watched: WATCHED, plan: MAKE_PLAN) -> None:
    gate = Gate()
    with Engine(watched(gate), EngineSettings(max_queued_rows=4)) as engine:
        tickets = [engine.submit(plan(0))]
        assert gate.reached.wait(timeout=60)
        tickets.append(engine.submit(plan(1)))
        with pytest.raises(QueueFull) as refusal:
            engine.submit(plan(2))
        assert refusal.value.retry_after_s is not None
        assert refusal.value.retry_after_s > 0
        gate.opened.set()
        for ticket in tickets:
            ticket.future.result(timeout=60)
        engine.submit(plan(2)).future.result(timeout=60)


def test_the_queue_is_bounded_in_bytes_too(bundle: ModelBundle, plan: MAKE_PLAN) -> None:
    with (
        Engine(bundle, EngineSettings(max_queued_bytes=plan().size_bytes - 1)) as engine,
        pytest.raises(QueueFull),
    ):
        engine.submit(plan())


def test_a_nan_ends_its_trajectory_only(watched: WATCHED, plan: MAKE_PLAN) -> None:
    def watch(_: int, sample: torch.Tensor) -> Callable[[torch.Tensor], torch.Tensor]:
        poisoned = is_marked(sample)[:, None, None, None]
        return lambda prediction: torch.where(poisoned, float("nan"), prediction)

    with Engine(watched(watch)) as engine:
        tickets = [engine.submit(job) for job in (plan(0), marked(plan(1)), plan(2))]
        with pytest.raises(NonFinite):
            tickets[1].future.result(timeout=60)
        assert tickets[0].future.result(timeout=60).calls == 4
        assert tickets[2].future.result(timeout=60).calls == 4


def test_a_call_that_raises_is_made_again_one_by_one(watched: WATCHED, plan: MAKE_PLAN) -> None:
    def watch(_: int, sample: torch.Tensor) -> None:
        if is_marked(sample).any():
            raise ZeroDivisionError("poison")

    with Engine(watched(watch)) as engine:
        tickets = [engine.submit(job) for job in (plan(0), marked(plan(1)), plan(2, scheduler="Euler a"))]
        with pytest.raises(GenerationFailed, match="poison"):
            tickets[1].future.result(timeout=60)
        lone = engine.submit(plan(2, scheduler="Euler a")).future.result(timeout=60)
        again = tickets[2].future.result(timeout=60)
        assert tickets[0].future.result(timeout=60).calls == 4
    # The failed call drew nothing from anyone's generator.
    torch.testing.assert_close(again.image, lone.image, atol=1 / 255, rtol=0)


def test_out_of_memory_halves_the_calls_once(watched: WATCHED, plan: MAKE_PLAN) -> None:
    sizes: list[int] = []

    def watch(_: int, sample: torch.Tensor) -> None:
        sizes.append(len(sample))
        if len(sample) > 4:
            raise torch.OutOfMemoryError("full")

    gate = Gate()
    with Engine(watched(lambda n, s: (gate(n, s), watch(n, s))[1], row_cap=8)) as engine:
        tickets = [engine.submit(plan(0))]
        assert gate.reached.wait(timeout=60)
        tickets += [engine.submit(plan(n)) for n in range(1, 4)]
        gate.opened.set()
        assert [ticket.future.result(timeout=60).calls for ticket in tickets] == [4] * 4
    assert sum(size > 4 for size in sizes) == 1
    assert 4 in sizes


def test_out_of_memory_of_the_smallest_call_is_an_error_of_its_own(watched: WATCHED, plan: MAKE_PLAN) -> None:
    def watch(_: int, sample: torch.Tensor) -> None:
        if is_marked(sample).any():
            raise torch.OutOfMemoryError("full")

    with Engine(watched(watch)) as engine:
        large, small = engine.submit(marked(plan(0))), engine.submit(plan(1))
        with pytest.raises(OutOfMemory):
            large.future.result(timeout=60)
        small.future.result(timeout=60)


def test_fixed_rows_are_never_halved(watched: WATCHED, plan: MAKE_PLAN) -> None:
    sizes: list[int] = []

    def watch(_: int, sample: torch.Tensor) -> None:
        sizes.append(len(sample))
        raise torch.OutOfMemoryError("full")

    with Engine(watched(watch), EngineSettings(rows_per_call=4)) as engine, pytest.raises(OutOfMemory):
        engine.submit(plan(0)).future.result(timeout=60)
    assert set(sizes) == {4}


def test_what_cannot_be_run_is_refused_at_the_door(engine: Engine, plan: MAKE_PLAN) -> None:
    with pytest.raises(InvalidField, match="scheduler"):
        engine.submit(plan(scheduler="Euler z"))
    with pytest.raises(InvalidField, match="image"):
        engine.submit(plan(width=20))


def test_progress_counts_and_previews(watched: WATCHED, plan: MAKE_PLAN) -> None:
    seen: list[tuple[int, int, bool]] = []
    tickets: list[Any] = []
    ready = threading.Event()

    def watch(_number: int, _sample: torch.Tensor) -> None:
        assert ready.wait(timeout=60)
        progress = tickets[0].progress
        seen.append((progress.step, progress.total, progress.preview() is not None))

    with Engine(watched(watch)) as engine:
        tickets.append(engine.submit(plan(num_inference_steps=3)))
        ready.set()
        tickets[0].future.result(timeout=60)
    assert seen == [(0, 3, False), (1, 3, True), (2, 3, True)]
    preview = tickets[0].progress.preview()
    assert preview is not None
    assert preview.shape == (3, 8, 8)


def test_close_finishes_what_was_taken_and_takes_no_more(bundle: ModelBundle, plan: MAKE_PLAN) -> None:
    engine = Engine(bundle)
    tickets = [engine.submit(plan(n)) for n in range(3)]
    engine.close()
    assert all(ticket.future.done() and ticket.future.exception() is None for ticket in tickets)
    with pytest.raises(EngineClosed):
        engine.submit(plan())


def test_close_without_drain_ends_all_before_their_next_call(watched: WATCHED, plan: MAKE_PLAN) -> None:
    gate = Gate()
    engine = Engine(watched(gate))
    tickets = [engine.submit(plan(n)) for n in range(3)]
    assert gate.reached.wait(timeout=60)
    closing = threading.Thread(target=engine.close, kwargs={"drain": False})
    closing.start()
    gate.opened.set()
    closing.join(timeout=60)
    for ticket in tickets:
        with pytest.raises(EngineClosed):
            ticket.future.result(timeout=60)


@pytest.mark.slow
def test_a_process_that_forgets_to_close_ends_all_the_same() -> None:
    script = """
from pathlib import Path
import sys, tempfile
from retouch.engine.engine import Engine
from retouch.models.load import load_model
from tests.engine.conftest import make_plan
from tests.factories import make_checkpoint
engine = Engine(load_model(make_checkpoint(Path(tempfile.mkdtemp()))))
engine.submit(make_plan(num_inference_steps=900))
"""
    done = subprocess.run([sys.executable, "-c", script], timeout=120, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


def test_places_are_given_in_order_of_arrival(watched: WATCHED, plan: MAKE_PLAN) -> None:
    gate, order = Gate(), []
    with Engine(watched(gate, row_cap=2), EngineSettings(active_calls=1)) as engine:
        tickets = [engine.submit(plan(0))]
        assert gate.reached.wait(timeout=60)
        tickets += [engine.submit(plan(n)) for n in (1, 2)]
        for number, ticket in enumerate(tickets):
            ticket.future.add_done_callback(lambda _, number=number: order.append(number))
        stats = engine.stats()
        gate.opened.set()
        for ticket in tickets:
            ticket.future.result(timeout=60)
    assert order == [0, 1, 2]
    assert (stats.active, stats.queued, stats.unet_rows) == (1, 2, 6)


def test_a_callback_that_raises_does_not_stop_the_loop(engine: Engine, plan: MAKE_PLAN) -> None:
    def callback(_: Any) -> None:
        raise ZeroDivisionError("the caller's own")

    ticket = engine.submit(plan(0))
    ticket.future.add_done_callback(callback)
    ticket.future.result(timeout=60)
    engine.submit(plan(1)).future.result(timeout=60)


def test_an_unguided_plan_pays_for_no_second_row(watched: WATCHED, plan: MAKE_PLAN) -> None:
    sizes: list[int] = []
    with Engine(watched(lambda _, sample: sizes.append(len(sample))), EngineSettings(rows_per_call=2)) as engine:
        engine.submit(plan(0, num_inference_steps=3, guidance_scale=1.0)).future.result(timeout=60)
        engine.submit(plan(1, num_inference_steps=3)).future.result(timeout=60)
    assert sizes == [1, 1, 1, 2, 2, 2]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_loop_that_dies_answers_everybody(watched: WATCHED, plan: MAKE_PLAN) -> None:
    gate = Gate()

    def clock() -> float:
        if gate.opened.is_set():
            raise RuntimeError("a fault of the loop's own")
        return 0.0

    engine = Engine(watched(gate), clock=clock)
    tickets = [engine.submit(plan(0))]
    assert gate.reached.wait(timeout=60)
    tickets.append(engine.submit(plan(1)))
    gate.opened.set()
    for ticket in tickets:
        with pytest.raises(GenerationFailed, match="the engine stopped"):
            ticket.future.result(timeout=60)
    assert engine.stats().unet_rows == 0
