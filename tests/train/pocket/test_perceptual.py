"""The perceptual distance."""

import pytest
import torch

pytest.importorskip("efficientnet_lite_pytorch")

from retouch.train.pocket.perceptual import PerceptualDistance


@pytest.fixture(scope="module")
def distance() -> PerceptualDistance:
    return PerceptualDistance()


@pytest.fixture
def images() -> torch.Tensor:
    return torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1


def test_equal_pictures_have_no_distance(distance: PerceptualDistance, images: torch.Tensor) -> None:
    assert float(distance(images, images)) == 0.0


def test_distance_grows_with_the_disturbance(distance: PerceptualDistance, images: torch.Tensor) -> None:
    noise = torch.randn(images.shape, generator=torch.Generator().manual_seed(1))
    found = [float(distance(images + strength * noise, images)) for strength in (0.05, 0.1, 0.3)]
    assert 0 < found[0] < found[1] < found[2]


def test_stages_have_strides_of_two_four_and_eight(distance: PerceptualDistance, images: torch.Tensor) -> None:
    assert [tuple(found.shape[1:]) for found in distance.features(images)] == [
        (16, 32, 32),
        (24, 16, 16),
        (40, 8, 8),
    ]


def test_gradients_reach_the_picture_and_not_the_network(
    distance: PerceptualDistance, images: torch.Tensor
) -> None:
    picture = images.clone().requires_grad_()
    distance(picture, -images).backward()
    assert picture.grad is not None
    assert float(picture.grad.abs().max()) > 0
    assert all(parameter.grad is None for parameter in distance.parameters())
