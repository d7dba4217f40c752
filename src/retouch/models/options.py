"""How a checkpoint shall be loaded: the options that callers may set, with their defaults."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

PredictionType = Literal["epsilon", "v_prediction", "sample"]
DtypeName = Literal["auto", "fp32", "bf16", "fp16"]


@dataclass(frozen=True, slots=True)
class LoadOptions:
    """What a caller may decide about loading; None leaves the choice to the checkpoint or the device.

    Attributes:
        device: `cpu`, `cuda`, `cuda:1`, `mps`, ...; None takes the best one that is there.
        dtype: precision of the UNet and the text encoder; `auto` is what the device is known to do well.
        vae_dtype: precision of the VAE; `auto` is fp32.
        threads: threads of the CPU for each operation, in the whole process; None leaves PyTorch's choice.
        variant: file variant to prefer in a folder (`fp16`); another one is taken where it is missing.
        allow_pickle: also read `.ckpt`, `.bin` and `.pt` files, weights only.
        local_files_only: never ask the hub, use what is cached.
        cache_dir: the hub's cache; None is the hub's own (`HF_HOME`).
        config_from: a diffusers folder whose configs and tokenizer describe a single-file checkpoint.
        prediction_type: what the UNet predicts; None is its config's, or found out.
        vae: a VAE file or folder, which takes the place of the checkpoint's own.
        loras: LoRA files as `path` or `path:scale`, fused in this order.
        embeddings: textual inversions as `path` or `token=path`.
        offload: keep on the device only the component that works; slow, for small GPUs.
    """

    device: str | None = None
    dtype: DtypeName = "auto"
    vae_dtype: DtypeName = "auto"
    threads: int | None = None
    variant: str | None = None
    allow_pickle: bool = False
    local_files_only: bool = False
    cache_dir: Path | None = None
    config_from: Path | None = None
    prediction_type: PredictionType | None = None
    vae: Path | None = None
    loras: tuple[str, ...] = ()
    embeddings: tuple[str, ...] = ()
    offload: bool = False


DEFAULT_OPTIONS = LoadOptions()
