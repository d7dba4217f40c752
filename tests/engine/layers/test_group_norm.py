"""A group norm and its activation as one affine map."""

from collections.abc import Iterator

import pytest
import torch
import torch.nn.functional as F

from retouch.engine.layers import group_norm
from retouch.engine.layers.group_norm import FastGroupNorm, norm_and_silu
from retouch.engine.layers.tuning import Tuning


@pytest.fixture
def _threads_as_before() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def fast(norm: torch.nn.GroupNorm, *, threads: int) -> FastGroupNorm:
    norm.__class__, norm.tuning = FastGroupNorm, Tuning(owns_residuals=False, threads=threads)
    assert isinstance(norm, FastGroupNorm)
    return norm


def norm_of(channels: int, groups: int) -> torch.nn.GroupNorm:
    norm = torch.nn.GroupNorm(groups, channels, eps=1e-6)
    torch.nn.init.normal_(norm.weight)
    torch.nn.init.normal_(norm.bias)
    return norm


@torch.inference_mode()
@pytest.mark.parametrize("floats", [1, 40, 10_000])
@pytest.mark.parametrize("offset", [0.0, 100.0])
def test_equal_to_norm_then_activation(floats: int, offset: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group_norm, "_PART_FLOATS", floats)
    torch.manual_seed(0)
    x = (torch.randn(3, 8, 5, 7) + offset).contiguous(memory_format=torch.channels_last)
    norm, scale, shift = norm_of(8, 4), torch.randn(3, 8, 1, 1), torch.randn(3, 8, 1, 1)
    exact = F.group_norm(x.double(), 4, norm.weight.double(), norm.bias.double(), norm.eps)
    expected = F.silu(exact * (1 + scale) + shift).float()
    found = norm_and_silu(x, norm, scale, shift)
    for images in (slice(0, 3), slice(1, 2)):
        pixels = x.permute(0, 2, 3, 1)[images]
        ours = torch.empty_like(pixels)
        found.of(pixels, images, out=ours)
        torch.testing.assert_close(ours.permute(0, 3, 1, 2), expected[images], rtol=1e-4, atol=1e-4)


@torch.inference_mode()
def test_no_image_depends_on_its_company() -> None:
    x, norm = torch.randn(5, 8, 16, 16).contiguous(memory_format=torch.channels_last), norm_of(8, 2)
    together, alone = norm_and_silu(x, norm), norm_and_silu(x[3:4], norm)
    assert torch.equal(together.scale[3:4], alone.scale)
    assert torch.equal(together.shift[3:4], alone.shift)


@torch.inference_mode()
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("offset", [0.0, 100.0])
def test_a_shared_norm_is_equal_to_the_plain_one(offset: float, memory_format: torch.memory_format) -> None:
    torch.manual_seed(0)
    x = (torch.randn(3, 8, 36, 32) + offset).contiguous(memory_format=memory_format)
    norm = norm_of(8, 4)
    exact = F.group_norm(x.double(), 4, norm.weight.double(), norm.bias.double(), norm.eps).float()
    torch.testing.assert_close(fast(norm, threads=2)(x), exact, rtol=1e-4, atol=1e-4)


@torch.inference_mode()
@pytest.mark.usefixtures("_threads_as_before")
def test_no_bit_of_a_norm_depends_on_the_threads_that_share_it() -> None:
    x = torch.randn(3, 16, 64, 64).contiguous(memory_format=torch.channels_last)
    norm, plain, found = norm_of(16, 4), set[bytes](), set[bytes]()
    for threads in (1, 2, 4):
        torch.set_num_threads(threads)
        plain.add(norm(x).numpy().tobytes())
    fast(norm, threads=4)
    for threads in (1, 2, 4):
        torch.set_num_threads(threads)
        found.add(norm(x).numpy().tobytes())
    assert len(plain) > 1  # else nothing of ours would be needed
    assert len(found) == 1


@torch.inference_mode()
@pytest.mark.parametrize(
    ("shape", "threads"), [((2, 8, 64, 64), 2), ((1, 8, 64, 64), 1), ((1, 8, 16, 16), 2), ((1, 8, 4096), 2)]
)
def test_a_norm_that_no_thread_shares_is_left_to_pytorch(shape: tuple[int, ...], threads: int) -> None:
    norm, x = norm_of(8, 4), torch.randn(shape)
    expected = norm(x)
    assert torch.equal(fast(norm, threads=threads)(x), expected)
