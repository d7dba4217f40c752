"""Keeping only the component that works on the device, for GPUs that cannot hold the whole checkpoint."""

from typing import Any

import torch

from retouch.models.bundle import ModelBundle

CPU = torch.device("cpu")


class Seat:
    """One place on the device that several modules take in turn.

    Not safe for several threads: the engine calls its modules from one.
    """

    def __init__(self, device: torch.device, *, idle: torch.device = CPU) -> None:
        self.device = device
        self.idle = idle
        self.holder: torch.nn.Module | None = None

    def take(self, module: torch.nn.Module) -> None:
        """Bring a module to the device; the one that was there leaves first, so that both need never fit."""
        if self.holder is module:
            return
        if self.holder is not None:
            self.holder.to(self.idle)
        module.to(self.device)
        self.holder = module


def enable_offload(bundle: ModelBundle) -> Seat:
    """Leave UNet, VAE and text encoder on the CPU; each comes to the bundle's device when it is called.

    Every change of work moves weights over the bus, so mixed work (one picture decoding while another denoises)
    is much slower. The hooks are accelerate's own, which diffusers also honours around a VAE's `encode` and
    `decode`; whoever calls the modules needs to know nothing.
    """
    from accelerate.hooks import ModelHook, add_hook_to_module

    class SeatHook(ModelHook):  # type: ignore[misc]  # accelerate has no types
        """Takes the seat before every forward call of a module, and before `encode` and `decode` of a VAE."""

        def pre_forward(self, module: torch.nn.Module, *args: Any, **kwargs: Any) -> tuple[Any, Any]:
            seat.take(module)
            return args, kwargs

    # The only fit of the preview that no other thread's work can meet in the seat.
    bundle.preview_matrix()
    seat = Seat(bundle.device)
    for module in (bundle.unet, bundle.vae, bundle.text_encoder):
        module.to(CPU)
        add_hook_to_module(module, SeatHook())
    return seat
