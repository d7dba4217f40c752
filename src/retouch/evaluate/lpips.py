"""LPIPS, the learned perceptual distance, with weights that the user brings along.

Zhang et al. 2018, eq. 1: features of several stages of a network, normalised along channels; their squared
differences, weighted per channel, averaged over the picture, summed over stages.
"""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from retouch.errors import ModelUnsupported
from retouch.evaluate.weights import accepts, is_torchscript, load_state_dict, load_torchscript

U8 = NDArray[np.uint8]

_CONV = re.compile(r"(?:net\.)?slice(\d+)\.(\d+)\.(weight|bias)")
_LIN = re.compile(r"lin(\d+)\.model\.1\.weight")
# ImageNet's mean and deviation for pictures in [-1, 1], as LPIPS was trained with.
_SHIFT = torch.tensor([-0.030, -0.088, -0.188]).view(1, 3, 1, 1)
_SCALE = torch.tensor([0.458, 0.448, 0.450]).view(1, 3, 1, 1)


class PerceptualDistance(Protocol):
    """Tells how different two pictures look."""

    def distance(self, first: U8, second: U8) -> float:
        """Return the distance of two pictures (H, W, 3) of one size; 0 is the same."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Stage:
    """The convolutions of one stage as (weight, bias), each followed by a ReLU; and its channels' weights (C,)."""

    convolutions: tuple[tuple[Tensor, Tensor], ...]
    channel_weights: Tensor


class Lpips:
    """LPIPS from the state dict of `lpips.LPIPS(net="vgg" or "alex")`.

    Shapes are read from the weights; a first kernel of 11 means AlexNet (stride 4, overlapping pools before the
    second and third stage), one of 3 means VGG (a pool before every stage but the first).
    """

    def __init__(self, stages: Sequence[Stage]) -> None:
        self._stages = tuple(stages)
        self._is_alex = self._stages[0].convolutions[0][0].shape[-1] == 11

    @classmethod
    def from_state_dict(cls, weights: Mapping[str, Tensor]) -> "Lpips":
        """Sort `net.slice1.0.weight`, `lin0.model.1.weight`, ... into stages.

        Raises:
            ModelUnsupported: convolutions or channel weights are missing.
        """
        layers: dict[int, dict[int, dict[str, Tensor]]] = defaultdict(lambda: defaultdict(dict))
        lins: dict[int, Tensor] = {}
        for name, tensor in weights.items():
            if conv := _CONV.fullmatch(name):
                layers[int(conv[1])][int(conv[2])][conv[3]] = tensor.float()
            elif lin := _LIN.fullmatch(name):
                lins[int(lin[1])] = tensor.float().flatten()
        if not layers or sorted(lins) != list(range(len(layers))):
            raise ModelUnsupported(
                "the file does not hold all of LPIPS",
                hint="save `lpips.LPIPS(net='vgg').state_dict()`, backbone included",
            )
        return cls(
            [
                Stage(tuple((layer["weight"], layer["bias"]) for _, layer in sorted(stage.items())), lins[k])
                for k, (_, stage) in enumerate(sorted(layers.items()))
            ]
        )

    @torch.inference_mode()
    def distance(self, first: U8, second: U8) -> float:
        """Return LPIPS of two pictures (H, W, 3) of one size."""
        images = torch.from_numpy(np.stack([first, second])).permute(0, 3, 1, 2).float() / 127.5 - 1
        hidden = (images - _SHIFT) / _SCALE  # (2, 3, H, W)
        total = 0.0
        for k, stage in enumerate(self._stages):
            hidden = self._run(hidden, stage, k)
            unit = hidden / (hidden.square().sum(dim=1, keepdim=True).sqrt() + 1e-10)
            gaps = (unit[0] - unit[1]).square()  # (C, h, w)
            total += float((gaps * stage.channel_weights.view(-1, 1, 1)).sum(dim=0).mean())
        return total

    def _run(self, hidden: Tensor, stage: Stage, k: int) -> Tensor:
        if self._is_alex and k in (1, 2):
            hidden = F.max_pool2d(hidden, kernel_size=3, stride=2)
        elif not self._is_alex and k > 0:
            hidden = F.max_pool2d(hidden, kernel_size=2)
        for weight, bias in stage.convolutions:
            is_stem = weight.shape[-1] == 11
            padding = 2 if is_stem else weight.shape[-1] // 2
            hidden = F.relu(F.conv2d(hidden, weight, bias, stride=4 if is_stem else 1, padding=padding))
        return hidden


class ScriptedDistance:
    """A TorchScript network whose features' squared distance is the perceptual distance.

    NVIDIA's `vgg16.pt` is one: with `return_lpips` its features are weighted so that they give LPIPS.
    """

    def __init__(self, network: Any) -> None:
        self._network = network

    @torch.inference_mode()
    def distance(self, first: U8, second: U8) -> float:
        """Return the squared distance of two pictures' (H, W, 3) features."""
        images = torch.from_numpy(np.stack([first, second])).permute(0, 3, 1, 2).float()
        if accepts(self._network, "return_lpips"):
            features: Tensor = self._network(images, resize_images=False, return_lpips=True)
        else:
            features = self._network(images)
        return float((features[0] - features[1]).square().sum())


def load_distance(path: Path) -> PerceptualDistance:
    """Load a perceptual distance from a TorchScript file or a state dict.

    Raises:
        ModelUnsupported: the file is neither.
    """
    if is_torchscript(path):
        return ScriptedDistance(load_torchscript(path))
    return Lpips.from_state_dict(load_state_dict(path))
