"""A plan is checked when it is made."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from retouch.engine.plan import Plan
from retouch.errors import BadInput


def test_masked_image_is_mid_grey_in_the_hole_and_the_image_elsewhere(plan: Callable[..., Plan]) -> None:
    job = plan()
    hole = job.mask[0] > 0.5
    assert torch.equal(job.masked_image[:, hole], torch.zeros(3, int(hole.sum())))
    assert torch.equal(job.masked_image[:, ~hole], job.image[:, ~hole])


def test_size_counts_both_pictures(plan: Callable[..., Plan]) -> None:
    assert plan(height=16, width=24).size_bytes == 4 * 16 * 24 * (3 + 1)


@pytest.mark.parametrize(
    "changes",
    [
        {"image": torch.zeros(1, 32, 32)},
        {"image": torch.zeros(3, 32, 32, dtype=torch.float64)},
        {"mask": torch.zeros(1, 32, 24)},
        {"mask": torch.zeros(1, 32, 32, dtype=torch.bool)},
        {"num_inference_steps": 0},
        {"strength": -0.1},
        {"strength": 1.1},
        {"seed": -1},
        {"seed": 2**32},
    ],
)
def test_what_cannot_be_run_is_an_error(changes: dict[str, Any], plan: Callable[..., Plan]) -> None:
    with pytest.raises(BadInput):
        plan(**changes)
