"""Learning-rate factors."""

import pytest

from retouch.errors import InvalidField
from retouch.train.config import PhaseConfig
from retouch.train.schedule import check_factors, rate_factor, rate_of


def phase(schedule: str, **changes: object) -> PhaseConfig:
    tree = {
        "name": "p",
        "task": "inpaint",
        "data": {"kind": "latents", "folder": "x"},
        "steps": 100,
        "global_batch": 1,
        "micro_batch": 1,
        "learning_rate": 1.0,
        "schedule": schedule,
        "warmup_steps": 10,
    }
    return PhaseConfig.model_validate(tree | changes)


@pytest.mark.parametrize("schedule", ["constant", "cosine", "wsd"])
def test_warm_up_rises_linearly_to_the_peak(schedule: str) -> None:
    found = [rate_factor(step, phase(schedule)) for step in range(10)]
    assert found == pytest.approx([(step + 1) / 10 for step in range(10)])
    assert rate_factor(10, phase(schedule)) == pytest.approx(1.0)


def test_constant_stays_at_the_peak() -> None:
    assert {rate_factor(step, phase("constant")) for step in range(10, 100)} == {1.0}


def test_cosine_is_half_way_down_in_the_middle_and_almost_zero_at_the_end() -> None:
    assert rate_factor(55, phase("cosine")) == pytest.approx(0.5)
    assert rate_factor(99, phase("cosine")) < 0.001


def test_wsd_is_flat_until_its_decay_and_then_falls_to_almost_zero() -> None:
    steady = phase("wsd", decay_share=0.2)
    assert rate_factor(80, steady) == 1.0
    fall = [rate_factor(step, steady) for step in range(80, 100)]
    assert fall == sorted(fall, reverse=True)
    assert fall[-1] < 0.05
    assert rate_factor(100, steady) == 0.0


def test_the_first_beginning_that_fits_a_name_sets_its_rate() -> None:
    found = phase("constant", rate_factors={"unet.up_blocks.1": 0.5, "unet.up_blocks": 0.1}, learning_rate=2.0)
    assert rate_of("unet.up_blocks.1.resnets.0.conv1.weight", found) == 1.0
    assert rate_of("unet.up_blocks.2.resnets.0.conv1.weight", found) == pytest.approx(0.2)
    assert rate_of("text_encoder.embeddings", found) == 2.0
    assert rate_of("unet.up_blocks.10.conv.weight", found) == pytest.approx(0.2)


def test_a_factor_for_no_parameter_is_refused() -> None:
    with pytest.raises(InvalidField, match="begins with"):
        check_factors(["unet.up_blocks.1.weight"], phase("constant", rate_factors={"unet.up_block": 0.5}))
