"""Which device, which precision and how many rows: the rules for a checkpoint of some size."""

from dataclasses import dataclass

import torch

from retouch.errors import InvalidField
from retouch.models.options import LoadOptions

SMALL_UNET_PARAMETERS = 100_000_000
_DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a checkpoint runs and in which precision.

    Attributes:
        offload: modules stay on the CPU, and come to the device one at a time.
    """

    device: torch.device
    dtype: torch.dtype
    vae_dtype: torch.dtype
    offload: bool = False

    @property
    def home(self) -> torch.device:
        """Where modules are while they do not work."""
        return torch.device("cpu") if self.offload else self.device


def place(options: LoadOptions) -> Placement:
    """Choose device and precision.

    CPU and Apple's GPU compute in float32; CUDA in float16, whose ten bits of mantissa the published half
    precision weights were made for. The VAE stays in float32 everywhere unless asked otherwise: in float16 the
    decoder of Stable Diffusion overflows on some pictures, and bfloat16 shows as banding.

    Raises:
        InvalidField: the device is unknown or not there.
    """
    device = pick_device(options.device)
    dtype = torch.float16 if device.type == "cuda" else torch.float32
    return Placement(
        device=device,
        dtype=_DTYPES[options.dtype] if options.dtype else dtype,
        vae_dtype=_DTYPES[options.vae_dtype] if options.vae_dtype else torch.float32,
        offload=options.offload,
    )


def pick_device(name: str | None) -> torch.device:
    """Return the named device, or the best one there is.

    Raises:
        InvalidField: the device is unknown or not there.
    """
    if name is None or name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda", torch.cuda.current_device())
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise InvalidField("device", f"{name!r} is not a device", hint="cpu, cuda, cuda:1, mps") from error
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise InvalidField("device", f"{name!r} is not there", hint=f"{torch.cuda.device_count()} CUDA devices")
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise InvalidField("device", "this machine has no Apple GPU")
    return device


def row_limits(device: torch.device, unet_parameters: int) -> tuple[int, int]:
    """Return (row cap, row knee) for a UNet of some size.

    A small UNet gains from company up to 32 rows on two cores, little beyond 16; one of full size fills them
    with two. The
    numbers for GPUs are conservative starting points and not measured.
    """
    is_small = unet_parameters < SMALL_UNET_PARAMETERS
    if device.type == "cpu":
        return (32, 16) if is_small else (4, 2)
    if device.type == "mps":
        return (16, 8) if is_small else (4, 4)
    return (128, 32) if is_small else (32, 16)
