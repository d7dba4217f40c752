"""The moving average against its formula."""

import pytest
import torch
from torch import nn

from retouch.train.ema import Ema


def test_average_follows_the_formula_step_by_step() -> None:
    module = nn.Linear(1, 1, bias=False)
    ema = Ema(module, decay=0.5)
    expected = float(module.weight.detach())
    for number in range(12):
        with torch.no_grad():
            module.weight.fill_(float(number))
        ema.update(module)
        decay = min(0.5, (1 + number) / (10 + number))
        expected = decay * expected + (1 - decay) * number
    assert float(ema.shadows["weight"]) == pytest.approx(expected, rel=1e-5)


def test_swapped_in_weights_are_taken_back_even_after_an_error() -> None:
    module = nn.Linear(2, 2)
    ema = Ema(module, decay=0.9)
    averaged = module.weight.detach().clone()
    with torch.no_grad():
        module.weight.add_(1.0)
    own = module.weight.detach().clone()
    with pytest.raises(AssertionError, match="inside"), ema.swapped_in(module):
        assert not torch.equal(module.weight, averaged), "inside"
    assert torch.equal(module.weight, own)


def test_saved_state_is_restored() -> None:
    module = nn.Linear(2, 2)
    ema = Ema(module, decay=0.9)
    ema.update(module)
    other = Ema(nn.Linear(2, 2), decay=0.9)
    other.load(ema.state())
    assert other.updates == 1
    assert torch.equal(other.shadows["weight"], ema.shadows["weight"])


def test_state_that_lacks_a_parameter_is_refused() -> None:
    ema = Ema(nn.Linear(2, 2), decay=0.9)
    with pytest.raises(KeyError):
        ema.load({"shadows": {}, "updates": 0})
