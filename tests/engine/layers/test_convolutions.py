"""3x3 convolutions by one matrix product."""

import pytest
import torch
import torch.nn.functional as F

from retouch.engine.layers.convolutions import gathered_conv3x3


@pytest.mark.parametrize("channels_last", [True, False])
def test_gathered_convolution_is_the_direct_one(channels_last: bool) -> None:
    x = torch.randn(2, 5, 6, 7).contiguous(memory_format=torch.channels_last)
    weight, bias = torch.randn(4, 5, 3, 3), torch.randn(4)
    if channels_last:
        weight = weight.contiguous(memory_format=torch.channels_last)
    direct = F.conv2d(x, weight, bias, padding=1)
    torch.testing.assert_close(gathered_conv3x3(x, weight, bias), direct, rtol=1e-4, atol=1e-4)
