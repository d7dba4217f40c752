"""Networks that the user brings along: TorchScript files and plain state dicts, from disk or the hub."""

import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from retouch.errors import BadInput, ModelNotFound, ModelUnsupported

U8 = NDArray[np.uint8]
F32 = NDArray[np.float32]
HUB_PREFIX = "hf://"


def find_file(where: str) -> Path:
    """Return a file by its path, or `hf://owner/name/path/in/it` from the hub (downloaded once, then cached).

    Raises:
        ModelNotFound: there is no such file.
        BadInput: a hub address without owner, name or path.
    """
    if not where.startswith(HUB_PREFIX):
        path = Path(where).expanduser()
        if not path.is_file():
            raise ModelNotFound(f"there is no file {where!r}", hint="give a path, or hf://owner/name/file")
        return path
    parts = where.removeprefix(HUB_PREFIX).split("/", 2)
    if len(parts) != 3 or not all(parts):
        raise BadInput(f"{where!r} names no file on the hub", hint="write hf://owner/name/file")
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return Path(hf_hub_download(f"{parts[0]}/{parts[1]}", parts[2]))
    except (HfHubHTTPError, LocalEntryNotFoundError) as error:
        raise ModelNotFound(
            f"{where!r} cannot be had from the hub", hint="download it and give its path"
        ) from error


def is_torchscript(path: Path) -> bool:
    """Whether a file is a TorchScript archive, without running any of it."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any("/code/" in name for name in archive.namelist())


def load_torchscript(path: Path) -> Any:
    """Load a TorchScript network in evaluation mode. It is a program: load only what you trust.

    Raises:
        ModelUnsupported: the file is no TorchScript archive.
    """
    if not is_torchscript(path):
        raise ModelUnsupported(
            f"{path.name} is not a TorchScript file",
            hint="for FID, `inception-2015-12-05.pt` of StyleGAN2-ADA is one",
        )
    load: Any = torch.jit.load  # torch leaves it untyped
    return load(path, map_location="cpu").eval()


def load_state_dict(path: Path) -> dict[str, Tensor]:
    """Load tensors by name from `.safetensors` or a PyTorch file; pickled code is refused."""
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        return load_file(path)
    loaded = torch.load(path, map_location="cpu", weights_only=True)
    if not isinstance(loaded, dict) or not all(isinstance(value, Tensor) for value in loaded.values()):
        raise ModelUnsupported(f"{path.name} is not a plain state dict", hint="save `module.state_dict()`")
    return loaded


def accepts(network: Any, argument: str) -> bool:
    """Whether a TorchScript network's forward takes an argument of that name."""
    return any(given.name == argument for given in network.forward.schema.arguments)


class ScriptedFeatures:
    """Features of a TorchScript network such as the Inception of FID.

    The network takes (B, 3, H, W) in 0..255 and does its own scaling. Where its forward knows
    `return_features`, as NVIDIA's `inception-2015-12-05.pt` does, it is set and the picture is passed as bytes.

    Raises:
        ModelUnsupported: the file is no TorchScript archive.
    """

    def __init__(self, path: Path, *, batch: int = 8) -> None:
        self.name = path.name
        self.width = 0  # known after the first call
        self._network = load_torchscript(path)
        self._batch = batch

    @torch.inference_mode()
    def extract(self, pictures: Sequence[U8]) -> F32:
        """Return features (N, D) of pictures (H, W, 3) of one size."""
        rows = [
            self._call(torch.from_numpy(np.stack(pictures[start : start + self._batch])).permute(0, 3, 1, 2))
            for start in range(0, len(pictures), self._batch)
        ]
        features = torch.cat(rows).numpy()
        self.width = features.shape[1]
        return np.asarray(features, dtype=np.float32)

    def _call(self, images: Tensor) -> Tensor:
        if accepts(self._network, "return_features"):
            features: Tensor = self._network(images, return_features=True)
        else:
            features = self._network(images.float())
        return features.flatten(start_dim=1).float()
