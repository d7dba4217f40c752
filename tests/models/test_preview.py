"""The linear preview is close to what the VAE decodes of flat latents."""

from pathlib import Path

import torch
from tests.factories import make_checkpoint, tiny_vae

from retouch.models.load import load_model
from retouch.models.options import LoadOptions
from retouch.models.preview import fit_preview


class LinearVae(torch.nn.Module):
    """Decodes each cell to one flat colour by a known matrix."""

    def __init__(self, matrix: torch.Tensor) -> None:
        super().__init__()
        self.matrix = torch.nn.Parameter(matrix)

    def decode(self, latents: torch.Tensor) -> object:
        ones = torch.ones_like(latents[:, :1])
        rgb = torch.einsum("bchw,cd->bdhw", torch.cat([latents, ones], dim=1), self.matrix)
        output = torch.nn.functional.interpolate(rgb, scale_factor=4.0)
        return type("Output", (), {"sample": output})


def test_known_linear_decoder_is_recovered_through_scale_and_shift() -> None:
    matrix = torch.tensor(
        [[0.1, 0.0, 0.02], [0.0, -0.1, 0.0], [0.05, 0.05, 0.05], [0.0, 0.0, 0.1], [0.1, 0, -0.1]]
    )
    fitted = fit_preview(LinearVae(matrix), latent_channels=4, scaling_factor=0.5, shift_factor=0.25)
    latents = torch.randn(10, 4, generator=torch.Generator().manual_seed(1))
    ones = torch.ones(10, 1)
    decoded = torch.cat([latents / 0.5 + 0.25, ones], dim=1) @ matrix
    assert torch.allclose(torch.cat([latents, ones], dim=1) @ fitted, decoded, atol=1e-4)


def test_loading_decodes_nothing_and_the_first_preview_once(tmp_path: Path) -> None:
    bundle = load_model(make_checkpoint(tmp_path), LoadOptions(device="cpu"))
    calls: list[int] = []
    bundle.vae.decoder.register_forward_hook(lambda *_: calls.append(1))
    assert bundle.preview_matrix() is bundle.preview_matrix()
    assert len(calls) == 1


def test_real_vae_gives_a_finite_matrix_and_the_same_each_time() -> None:
    vae = tiny_vae()
    first, second = (fit_preview(vae, latent_channels=4, scaling_factor=0.18, shift_factor=0.0) for _ in range(2))
    assert first.shape == (5, 3)
    assert torch.isfinite(first).all()
    assert torch.allclose(first, second, atol=1e-4)
