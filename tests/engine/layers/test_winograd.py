"""The algebra of minimal filtering, in double precision: a wrong matrix cannot hide behind rounding."""

from functools import partial

import pytest
import torch
import torch.nn.functional as F

from retouch.engine.layers.winograd import PLAIN, UPSAMPLED, Filtering


@pytest.mark.parametrize("filtering", [PLAIN, UPSAMPLED], ids=["plain", "upsampled"])
@pytest.mark.parametrize("has_bias", [True, False])
def test_filtering_is_the_direct_convolution(filtering: Filtering, has_bias: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    x, weight = (torch.randn(*shape, generator=generator).double() for shape in ((2, 8, 12, 3), (5, 3, 3, 3)))
    bias = torch.randn(5, generator=generator).double() if has_bias else None
    g = torch.tensor(filtering.matrix, dtype=torch.float64)
    torch.testing.assert_close(filtering.square, torch.kron(g, g).float())
    weights = torch.einsum("ia,jb,ocab->ijoc", g, g, weight)

    def product(
        tiles: list[torch.Tensor],
        own: torch.Tensor,
        column: int,
        bias: torch.Tensor | None = None,
        added: torch.Tensor | None = None,
    ) -> torch.Tensor:
        made = F.linear(tiles[column].flatten(0, -2), own[column], bias)
        return made if added is None else made + added

    rows = filtering.tiles_of(F.pad(x, (0, 0, 1, 1, 1, 1)))
    y = torch.empty(2, 8 * filtering.upsampling, 12 * filtering.upsampling, 5, dtype=torch.float64)
    filtering.sum_up((partial(product, *pair) for pair in zip(rows, weights, strict=True)), bias, y)
    whole = F.interpolate(x.permute(0, 3, 1, 2), scale_factor=filtering.upsampling, mode="nearest")
    direct = F.conv2d(whole, weight, bias, padding=1)
    torch.testing.assert_close(y.permute(0, 3, 1, 2), direct, rtol=1e-12, atol=1e-12)
