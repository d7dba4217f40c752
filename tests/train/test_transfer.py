"""Tensors on their way to a device."""

import torch

from retouch.train.transfer import to_device


def test_a_tensor_that_is_there_already_stays_the_same() -> None:
    tensor = torch.ones(2)
    assert to_device(tensor, torch.device("cpu")) is tensor
