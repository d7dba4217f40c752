"""Moments find their parameters by name."""

import torch

from retouch.train.moments import restore_moments


def adam_of(model: torch.nn.Module, *groups: tuple[str, ...]) -> torch.optim.AdamW:
    parameters = dict(model.named_parameters())
    return torch.optim.AdamW(
        [{"params": [parameters[name] for name in names], "names": list(names)} for names in groups], lr=0.1
    )


def test_other_groups_go_on_with_the_same_moments() -> None:
    model = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.Linear(3, 3))
    before = adam_of(model, ("0.weight", "1.weight"), ("0.bias", "1.bias"))
    for _ in range(2):
        model(torch.randn(4, 3)).square().sum().backward()
        before.step()
        before.zero_grad()
    after = adam_of(model, ("1.bias",), ("1.weight", "0.bias"), ("0.weight",))
    restore_moments(after, before.state_dict())
    for parameter in model.parameters():
        assert torch.equal(after.state[parameter]["exp_avg"], before.state[parameter]["exp_avg"])
        assert after.state[parameter]["step"] == 2


def test_a_new_parameter_begins_without_moments() -> None:
    model = torch.nn.Linear(2, 2)
    before = adam_of(model, ("weight",))
    model(torch.ones(1, 2)).sum().backward()
    before.step()
    after = adam_of(model, ("bias", "weight"))
    restore_moments(after, before.state_dict())
    assert model.weight in after.state
    assert model.bias not in after.state
