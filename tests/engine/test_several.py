"""Several engines are one to whoever uses them, and give what one gives."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from retouch.engine.engine import Engine
from retouch.engine.plan import Plan
from retouch.engine.scheduler import Stage
from retouch.engine.settings import EngineSettings
from retouch.engine.several import Engines, engines_of_many, start
from retouch.engine.workers import gnu_runtime
from retouch.errors import EngineClosed, GenerationFailed
from retouch.models.bundle import ModelBundle
from retouch.models.load import load_model

SETTINGS = EngineSettings(rows_per_call=4)


def test_a_picture_is_the_same_whichever_engine_made_it(bundle: ModelBundle, plan: Callable[..., Plan]) -> None:
    plans = [plan(seed, num_inference_steps=3) for seed in range(6)]
    with Engine(bundle, SETTINGS) as one:
        alone = [one.submit(each).future.result() for each in plans]
    with Engines(bundle, replace(SETTINGS, engines=2)) as both:
        made = [ticket.future.result() for ticket in [both.submit(each) for each in plans]]
        seen = both.stats()
    assert all(torch.equal(a.image, b.image) for a, b in zip(alone, made, strict=True))
    assert seen.rows[Stage.DECODE] == len(plans)
    assert (seen.active, seen.queued, seen.unet_rows) == (0, 0, 0)


def test_each_takes_its_part(bundle: ModelBundle, plan: Callable[..., Plan]) -> None:
    with Engines(bundle, replace(SETTINGS, engines=3)) as three:
        tickets = [three.submit(plan(seed, num_inference_steps=20)) for seed in range(6)]
        parts = [engine.stats().unet_rows for engine in three._engines]
        for ticket in tickets:
            ticket.future.result()
    assert max(parts) <= 4  # of twelve rows; some may be done already


def test_all_are_closed(bundle: ModelBundle, plan: Callable[..., Plan]) -> None:
    engines = start(bundle, replace(SETTINGS, engines=2))
    tickets = [engines.submit(plan(seed, num_inference_steps=500)) for seed in range(2)]
    engines.close(drain=False)
    for ticket in tickets:
        with pytest.raises(EngineClosed):
            ticket.future.result(timeout=10)
    with pytest.raises(EngineClosed):
        engines.submit(plan(0))


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_the_others_go_on_where_one_ends_by_a_fault(bundle: ModelBundle, plan: Callable[..., Plan]) -> None:
    def fail(_group: object) -> None:
        raise SystemError("a fault of the loop")

    with Engines(bundle, replace(SETTINGS, engines=2)) as both:
        broken = both._engines[0]
        broken._run = fail  # type: ignore[method-assign]
        with pytest.raises(GenerationFailed):
            broken.submit(plan(0)).future.result(timeout=10)
        tickets = [both.submit(plan(seed, num_inference_steps=2)) for seed in range(3)]
        assert all(ticket.future.result(timeout=10).image.isfinite().all() for ticket in tickets)


@pytest.mark.skipif(gnu_runtime() is None, reason="threads cannot be told where to compute")
def test_small_models_on_a_processor_have_an_engine_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    small = load_model()
    for threads, engines in ((1, 1), (2, 2), (64, 8)):
        monkeypatch.setattr(torch, "get_num_threads", lambda threads=threads: threads)
        assert engines_of_many(small) == engines
    assert engines_of_many(replace(small, device=torch.device("cuda"))) == 1
    with torch.device("meta"):
        large = torch.nn.Linear(10_000, 10_000)
    assert engines_of_many(replace(small, unet=large)) == 1
