import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from retouch.errors import ModelUnsupported
from retouch.evaluate.lpips import Lpips, ScriptedDistance, load_distance

VGG = ((0, 2), (5, 7), (10, 12))  # numbers of the convolutions in each slice, as torchvision counts them
ALEX = ((0,), (3,), (6,), (8,), (10,))


def _weights(slices, kernels, width=4):
    """A state dict under the names of `lpips.LPIPS`, with random small convolutions."""
    generator = torch.Generator().manual_seed(0)
    state, channels = {}, 3
    for k, numbers in enumerate(slices):
        for number in numbers:
            size = kernels.get(number, 3)
            state[f"net.slice{k + 1}.{number}.weight"] = torch.randn(
                width, channels, size, size, generator=generator
            )
            state[f"net.slice{k + 1}.{number}.bias"] = torch.randn(width, generator=generator)
            channels = width
        state[f"lin{k}.model.1.weight"] = torch.rand(1, width, 1, 1, generator=generator)
    return state | {"scaling_layer.shift": torch.zeros(1)}


def _pictures(side=48):
    rng = np.random.default_rng(1)
    return [rng.integers(0, 256, (side, side, 3), dtype=np.uint8) for _ in range(2)]


def _reference_vgg(state, first, second):
    """The published layers written out: convolutions and ReLUs, a pool before the later slices."""

    def stages(picture):
        x = torch.tensor(picture).permute(2, 0, 1)[None] / 127.5 - 1
        x = (x - torch.tensor([-0.030, -0.088, -0.188]).view(3, 1, 1)) / torch.tensor([0.458, 0.448, 0.450]).view(
            3, 1, 1
        )
        for k, numbers in enumerate(VGG):
            x = nn.MaxPool2d(2)(x) if k else x
            for number in numbers:
                weight, bias = (state[f"net.slice{k + 1}.{number}.{part}"] for part in ("weight", "bias"))
                x = F.conv2d(x, weight, bias, padding=1).relu()
            yield x / (x.pow(2).sum(1, keepdim=True).sqrt() + 1e-10)

    pairs = zip(stages(first), stages(second))
    return sum(
        F.conv2d((a - b) ** 2, state[f"lin{k}.model.1.weight"]).mean().item() for k, (a, b) in enumerate(pairs)
    )


def test_vgg_lpips_is_the_published_formula():
    state = _weights(VGG, {})
    first, second = _pictures()
    assert Lpips.from_state_dict(state).distance(first, second) == pytest.approx(
        _reference_vgg(state, first, second)
    )


def test_alex_lpips_halves_like_alexnet():
    state = _weights(ALEX, {0: 11, 3: 5})
    lpips = Lpips.from_state_dict(state)
    first, second = _pictures(64)
    assert lpips.distance(first, second) > 0
    # 64 -> 15 by stride 4, 7 and 3 by pools of 3 in steps of 2, as in torchvision's AlexNet
    hidden, sides = torch.zeros(2, 3, 64, 64), []
    for k, stage in enumerate(lpips._stages):
        hidden = lpips._run(hidden, stage, k)
        sides.append(hidden.shape[-1])
    assert sides == [15, 7, 3, 3, 3]


def test_a_picture_is_at_no_distance_from_itself_and_noise_moves_it_away():
    lpips = Lpips.from_state_dict(_weights(VGG, {}))
    picture = np.full((32, 32, 3), 120, dtype=np.uint8)
    noise = np.random.default_rng(0).integers(-1, 2, picture.shape)
    little, much = (np.clip(picture + noise * k, 0, 255).astype(np.uint8) for k in (4, 60))
    assert lpips.distance(picture, picture) == 0
    assert lpips.distance(picture, little) < lpips.distance(picture, much)


def test_files_of_both_kinds_load(tmp_path):
    class Scaled(nn.Module):
        def forward(self, images: Tensor, resize_images: bool = True, return_lpips: bool = False) -> Tensor:
            assert return_lpips
            assert not resize_images
            return images.mean(dim=(2, 3))

    torch.save(_weights(VGG, {}), tmp_path / "lpips.pth")
    torch.jit.script(Scaled()).save(str(tmp_path / "vgg16.pt"))
    first, second = _pictures()
    assert isinstance(load_distance(tmp_path / "lpips.pth"), Lpips)
    scripted = load_distance(tmp_path / "vgg16.pt")
    assert isinstance(scripted, ScriptedDistance)
    expected = ((first.mean((0, 1)) - second.mean((0, 1))) ** 2).sum()
    assert scripted.distance(first, second) == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("missing", ["net.slice", "lin1"])
def test_half_a_file_is_refused(missing):
    state = {name: tensor for name, tensor in _weights(VGG, {}).items() if not name.startswith(missing)}
    with pytest.raises(ModelUnsupported, match="not hold all of LPIPS"):
        Lpips.from_state_dict(state)
