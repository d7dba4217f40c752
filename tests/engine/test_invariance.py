"""Same seed, same picture: alone, in any company, in any position."""

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch

from retouch.engine.engine import Engine
from retouch.engine.plan import Plan
from retouch.engine.settings import EngineSettings
from retouch.engine.ticket import Denoised
from retouch.engine.workers import gnu_runtime
from retouch.models.bundle import ModelBundle
from retouch.models.load import load_model

COMPANY: Sequence[dict[str, Any]] = (
    {"scheduler": "Euler", "num_inference_steps": 7, "guidance_scale": 3.0},
    {"scheduler": "DPM++ 2M Karras", "num_inference_steps": 3, "guidance_scale": 1.0},
    {"scheduler": "Euler a", "num_inference_steps": 5, "strength": 0.6},
    {"scheduler": "UniPC", "num_inference_steps": 6, "guidance_scale": 9.0, "masked_content": "noise"},
)


def run_together(bundle: ModelBundle, plans: Sequence[Plan], *, rows_per_call: int) -> list[Denoised]:
    with Engine(bundle, EngineSettings(rows_per_call=rows_per_call)) as engine:
        tickets = [engine.submit(plan) for plan in plans]
        return [ticket.future.result(timeout=60) for ticket in tickets]


@pytest.mark.parametrize("rows_per_call", [1, 2, 4, 8])
@pytest.mark.parametrize("position", range(5))
@pytest.mark.parametrize("changes", [{}, {"scheduler": "Euler a", "strength": 0.5}, {"guidance_scale": 1.0}])
def test_fixed_rows_give_the_same_bits_at_each_position_in_any_company(
    changes: dict[str, Any], position: int, rows_per_call: int, bundle: ModelBundle, plan: Callable[..., Plan]
) -> None:
    job = plan(0, **changes)
    (alone,) = run_together(bundle, [job], rows_per_call=rows_per_call)
    company = [plan(n + 1, **other) for n, other in enumerate(COMPANY)]
    company.insert(position, job)
    together = run_together(bundle, company, rows_per_call=rows_per_call)[position]
    assert torch.equal(together.image, alone.image)
    assert torch.equal(together.latents, alone.latents)
    assert together.rows_per_call == rows_per_call


def test_fixed_rows_give_the_same_bits_after_cancellations_around_it(
    watched: Callable[..., ModelBundle], bundle: ModelBundle, plan: Callable[..., Plan]
) -> None:
    job = plan(0, num_inference_steps=6)
    (alone,) = run_together(bundle, [job], rows_per_call=4)
    neighbours: list[Any] = []

    def watch(number: int, _: torch.Tensor) -> None:
        # One neighbour leaves after the second call of any, the next after the fifth, the last after the eighth.
        if number in (2, 5, 8):
            neighbours[number // 3].cancel()

    with Engine(watched(watch), EngineSettings(rows_per_call=4)) as engine:
        # The first call is made before the others come, so that the watch counts on from there.
        engine.submit(plan(9, num_inference_steps=1)).future.result(timeout=60)
        neighbours[:] = [engine.submit(plan(n, num_inference_steps=20)) for n in (1, 2, 3)]
        together = engine.submit(job).future.result(timeout=60)
    assert torch.equal(together.image, alone.image)
    assert all(ticket.future.exception(timeout=60) is not None for ticket in neighbours)


@pytest.mark.parametrize("position", range(5))
def test_free_rows_are_within_one_level_of_a_lone_run(
    position: int, bundle: ModelBundle, plan: Callable[..., Plan]
) -> None:
    job = plan(0)
    (alone,) = run_together(bundle, [job], rows_per_call=0)
    company = [plan(n + 1, **other) for n, other in enumerate(COMPANY)]
    company.insert(position, job)
    together = run_together(bundle, company, rows_per_call=0)[position]
    levels = [(done.image * 255).round() for done in (alone, together)]
    assert float((levels[0] - levels[1]).abs().max()) <= 1.0
    assert together.rows_per_call == 0


def test_a_remembered_prompt_gives_the_same_bits(bundle: ModelBundle, plan: Callable[..., Plan]) -> None:
    first, again = (
        run[-1]
        for run in (
            run_together(bundle, [plan(0)], rows_per_call=2),
            run_together(bundle, [plan(1), plan(0), plan(0)], rows_per_call=2),
        )
    )
    assert torch.equal(first.image, again.image)


def test_another_seed_gives_another_picture(bundle: ModelBundle, plan: Callable[..., Plan]) -> None:
    one, other = run_together(bundle, [plan(0), plan(0, seed=77)], rows_per_call=2)
    assert not torch.equal(one.latents, other.latents)


def test_global_randomness_is_neither_read_nor_changed(bundle: ModelBundle, plan: Callable[..., Plan]) -> None:
    job = plan(0, scheduler="Euler a")
    torch.manual_seed(1)
    before = torch.get_rng_state()
    (first,) = run_together(bundle, [job], rows_per_call=2)
    assert torch.equal(before, torch.get_rng_state())
    torch.manual_seed(2)
    (second,) = run_together(bundle, [job], rows_per_call=2)
    assert torch.equal(first.image, second.image)


@pytest.mark.slow
@pytest.mark.parametrize("rows_per_call", [2, 8])
def test_fixed_rows_hold_for_the_embedded_model_on_several_threads(
    rows_per_call: int, plan: Callable[..., Plan]
) -> None:
    wide = load_model()
    torch.set_num_threads(2)
    try:
        jobs = [plan(n, height=128, width=128, num_inference_steps=2) for n in range(4)]
        alone = [run_together(wide, [job], rows_per_call=rows_per_call)[0] for job in jobs]
        together = run_together(wide, jobs, rows_per_call=rows_per_call)
    finally:
        torch.set_num_threads(1)
    for one, other in zip(alone, together, strict=True):
        assert torch.equal(one.image, other.image)


@pytest.mark.slow
@pytest.mark.skipif(gnu_runtime() is None, reason="threads are the user's alone")
@pytest.mark.parametrize("most", [2, 4])
@pytest.mark.parametrize("changes", [{}, {"guidance_scale": 1.0}], ids=["guided", "unguided"])
def test_other_work_changes_no_bit_of_the_embedded_model(
    changes: dict[str, Any], most: int, plan: Callable[..., Plan]
) -> None:
    wide, used = load_model(), set[int]()
    wide.unet.register_forward_pre_hook(lambda *_: used.add(torch.get_num_threads()))
    job = plan(0, height=256, width=256, num_inference_steps=5, **changes)
    torch.set_num_threads(most)
    fills = []
    try:
        quiet, busy, turns = itertools.repeat(most), itertools.repeat(1), itertools.cycle([most, 1])
        late = itertools.chain([most] * 4, itertools.repeat(1))
        for wanted in (quiet, busy, turns, late):
            with Engine(wide, EngineSettings(rows_per_call=2), threads=lambda _most: next(wanted)) as engine:  # noqa: B023
                # The second has nothing left to compare or to compute for the first time.
                tickets = [engine.submit(job).future.result(timeout=600) for _ in range(2)]
            fills += tickets
    finally:
        torch.set_num_threads(1)
    assert changes or used == {1, most}
    for fill in fills[1:]:
        assert torch.equal(fill.latents, fills[0].latents)
        assert torch.equal(fill.image, fills[0].image)
