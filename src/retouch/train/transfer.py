"""Moving tensors to the training device without waiting for what it is doing."""

import torch
from torch import Tensor


def to_device(tensor: Tensor, device: torch.device) -> Tensor:
    """The tensor on `device`.

    A copy to an accelerator is queued behind its work, through pinned memory. One from an accelerator to the host
    would wait for all of that work, and has no place in a step.
    """
    if device.type == "cpu" or tensor.device.type != "cpu":
        return tensor.to(device)
    pinned = tensor if tensor.is_pinned() else tensor.pin_memory()
    return pinned.to(device, non_blocking=True)
