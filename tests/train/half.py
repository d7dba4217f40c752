"""fp16 with a scaled loss on a CPU: accelerate offers it for accelerators alone, PyTorch everywhere."""

from typing import Any

import torch
from accelerate import Accelerator


class HalfOnCpu(Accelerator):
    """What `Accelerator(mixed_precision="fp16")` is on an accelerator; the scale changes every other step."""

    def __init__(self, **_: Any) -> None:
        super().__init__(cpu=True, mixed_precision="no")
        self.scaler = torch.amp.GradScaler("cpu", init_scale=2.0**8, growth_interval=2)

    def autocast(self, autocast_handler: Any = None) -> Any:
        return torch.autocast("cpu", torch.float16)

    def clip_grad_norm_(self, parameters: Any, max_norm: float, norm_type: float = 2) -> Any:
        for optimiser in self._optimizers:
            self.scaler.unscale_(optimiser.optimizer)
        return super().clip_grad_norm_(parameters, max_norm, norm_type)
