"""Draws as functions of a row's place."""

import pytest
import torch

from retouch.errors import InvalidField
from retouch.train.rows import Place, Share, draw_on_device, draw_rows


def test_row_draws_the_same_in_any_company_and_position() -> None:
    places = [Place(3, 1, 20, row) for row in range(6)]
    together = draw_rows(places, cells=4, text_drop_rate=0.5)
    alone = draw_rows([places[4]], cells=4, text_drop_rate=0.5)
    for name in ("pick", "timesteps", "noise", "posterior", "drop_text"):
        assert torch.equal(getattr(together, name)[4:5], getattr(alone, name))


def test_neighbouring_places_draw_differently() -> None:
    places = [Place(0, 0, 0, 0), Place(0, 0, 0, 1), Place(0, 0, 1, 0), Place(0, 1, 0, 0), Place(1, 0, 0, 0)]
    noise = draw_rows(places, cells=4, text_drop_rate=0.1).noise
    assert len({tuple(row.flatten().tolist()) for row in noise}) == 5


def test_one_text_in_ten_is_dropped_and_timesteps_are_uniform() -> None:
    draws = draw_rows([Place(0, 0, step, 0) for step in range(4000)], cells=1, text_drop_rate=0.1)
    # Four standard errors of a share of 0.1 among 4,000.
    assert abs(float(draws.drop_text.float().mean()) - 0.1) < 4 * (0.1 * 0.9 / 4000) ** 0.5
    assert abs(float(draws.timesteps.float().mean()) - 499.5) < 4 * 288.7 / 4000**0.5
    assert int(draws.timesteps.min()) >= 0
    assert int(draws.timesteps.max()) <= 999


def test_drop_rates_of_zero_and_one_are_exact() -> None:
    places = [Place(0, 0, 0, row) for row in range(50)]
    assert not draw_rows(places, cells=1, text_drop_rate=0.0).drop_text.any()
    assert draw_rows(places, cells=1, text_drop_rate=1.0).drop_text.all()


def test_noisiest_fifth_gets_its_share_beside_the_uniform_rest() -> None:
    places = [Place(0, 0, step, 0) for step in range(4000)]
    timesteps = draw_rows(places, cells=1, text_drop_rate=0.0, high_noise_share=0.5).timesteps
    high = float((timesteps >= 800).float().mean())
    assert abs(high - 0.6) < 4 * (0.6 * 0.4 / 4000) ** 0.5
    assert int(timesteps.min()) < 10
    assert int(timesteps.max()) <= 999
    rest = timesteps[timesteps < 800].float()
    assert abs(float(rest.mean()) - 399.5) < 4 * 231 / len(rest) ** 0.5


def test_draws_of_a_whole_micro_batch_are_its_first_places_own() -> None:
    settings = {"cells": 4, "text_drop_rate": 0.5, "high_noise_share": 0.2}
    device = torch.device("cpu")
    one, same = (draw_on_device(Place(0, 0, 3, 16), 64, device, **settings) for _ in range(2))
    other = draw_on_device(Place(0, 0, 4, 16), 64, device, **settings)
    for name in ("pick", "timesteps", "noise", "posterior", "drop_text"):
        assert torch.equal(getattr(one, name), getattr(same, name))
        assert not torch.equal(getattr(one, name), getattr(other, name))
    assert one.posterior.shape == (64, 2, 4, 4, 4)
    assert one.timesteps.min() >= 0
    assert one.timesteps.max() < 1000
    assert 0.2 < float(one.drop_text.double().mean()) < 0.8


@pytest.mark.parametrize(
    ("global_batch", "micro_batch", "world", "at_once"),
    [(16, 16, 1, 16), (16, 4, 2, 4), (16, 16, 2, 8), (16, 8, 4, 4), (6, 3, 2, 3), (4, 4, 4, 1)],
)
def test_processes_share_each_step_and_no_row_comes_twice(
    global_batch: int, micro_batch: int, world: int, at_once: int
) -> None:
    shares = [Share.of(global_batch, micro_batch, rank=rank, world=world) for rank in range(world)]
    assert {share.micro_batch for share in shares} == {at_once}
    rows = [row for share in shares for micro in share.micros() for row in share.rows(micro)]
    assert sorted(rows) == list(range(global_batch))


@pytest.mark.parametrize(("global_batch", "world"), [(16, 3), (2, 4), (6, 4)])
def test_a_batch_that_processes_cannot_share_evenly_is_refused(global_batch: int, world: int) -> None:
    with pytest.raises(InvalidField, match=f"{world} processes cannot share it evenly"):
        Share.of(global_batch, global_batch, rank=0, world=world)
