"""Which device, which precision and how many rows: the rules for a checkpoint of some size."""

import platform
from dataclasses import dataclass

import torch

from retouch.errors import InvalidField
from retouch.models.options import DtypeName, LoadOptions

SMALL_UNET_PARAMETERS = 100_000_000
MAX_THREADS = 1024
_DTYPES: dict[str, torch.dtype] = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


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
    return Placement(
        device=device,
        dtype=_dtype("dtype", options.dtype, torch.float16 if device.type == "cuda" else torch.float32),
        vae_dtype=_dtype("vae_dtype", options.vae_dtype, torch.float32),
        offload=options.offload,
    )


def _dtype(field: str, name: str, automatic: torch.dtype) -> torch.dtype:
    if name != "auto" and name not in _DTYPES:
        raise InvalidField(field, f"is {name!r}", hint=f"one of: auto, {', '.join(_DTYPES)}")
    return _DTYPES.get(name, automatic)


def fast_dtypes(device: torch.device) -> tuple[DtypeName, ...]:
    """Return in which precisions a device multiplies by instructions of its own, the fastest last."""
    if device.type == "cuda":
        # PyTorch also says yes where it emulates bf16, before Ampere.
        is_own = torch.cuda.is_bf16_supported(including_emulation=False)
        return ("fp32", "fp16", "bf16") if is_own else ("fp32", "fp16")
    if device.type == "cpu":
        return ("fp32", "bf16") if multiplies_bf16() else ("fp32",)
    return ("fp32", "fp16")


def multiplies_bf16() -> bool:
    """Whether this processor multiplies bfloat16 by instructions of its own."""
    if platform.machine() in ("x86_64", "AMD64"):
        # oneDNN says yes to every AVX-512, where it converts to fp32 and back, which is slower than fp32.
        return bool(torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported())
    return bool(torch._C._has_mkldnn and torch.ops.mkldnn._is_mkldnn_bf16_supported())


def use_threads(threads: int | None) -> None:
    """Let the operations of this process run on so many threads; None leaves the number as it is.

    Raises:
        InvalidField: it is no number of threads.
    """
    if threads is None:
        return
    if isinstance(threads, bool) or not isinstance(threads, int) or not 1 <= threads <= MAX_THREADS:
        raise InvalidField("threads", f"is {threads!r}, must be 1 to {MAX_THREADS}")
    torch.set_num_threads(threads)


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


def memory_bytes(device: torch.device) -> int | None:
    """Return how much memory a GPU has in all; None where there is none, or it does not tell."""
    if device.type == "cuda" and torch.cuda.is_available():
        return int(torch.cuda.get_device_properties(device).total_memory)
    if device.type == "mps" and torch.backends.mps.is_available():
        return int(torch.mps.recommended_max_memory())
    return None


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
