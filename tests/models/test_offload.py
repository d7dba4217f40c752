"""One seat on the device: who works has it, the others wait outside."""

from pathlib import Path

import torch
from tests.factories import make_checkpoint

from retouch.models.load import load_model
from retouch.models.offload import Seat, enable_offload, footprint_bytes
from retouch.models.options import LoadOptions


class Traveller(torch.nn.Module):
    """Writes down where it is sent."""

    def __init__(self, name: str, log: list[tuple[str, str]]) -> None:
        super().__init__()
        self.name, self.log = name, log

    def to(self, device: torch.device) -> "Traveller":  # type: ignore[override]
        self.log.append((self.name, device.type))
        return self


def test_holder_leaves_before_the_next_comes_and_stays_while_it_works() -> None:
    log: list[tuple[str, str]] = []
    unet, vae = Traveller("unet", log), Traveller("vae", log)
    seat = Seat(torch.device("meta"))
    for module in (unet, unet, vae, unet):
        seat.take(module)
    assert log == [("unet", "meta"), ("unet", "cpu"), ("vae", "meta"), ("vae", "cpu"), ("unet", "meta")]


def test_every_kind_of_work_takes_the_seat(tmp_path: Path) -> None:
    bundle = load_model(make_checkpoint(tmp_path), LoadOptions(device="cpu"))
    seat = enable_offload(bundle)
    holders = []
    with torch.inference_mode():
        text = bundle.text_encoder(torch.zeros(1, 16, dtype=torch.long))[0]
        holders.append(seat.holder)
        latents = bundle.vae.encode(torch.zeros(1, 3, 32, 32)).latent_dist.mean
        holders.append(seat.holder)
        bundle.unet(torch.zeros(1, 9, 8, 8), 1, text)
        holders.append(seat.holder)
        bundle.vae.decode(latents)
        holders.append(seat.holder)
    assert holders == [bundle.text_encoder, bundle.vae, bundle.unet, bundle.vae]


def test_footprint_counts_bytes_of_each_module(tmp_path: Path) -> None:
    bundle = load_model(make_checkpoint(tmp_path), LoadOptions(device="cpu"))
    footprint = footprint_bytes(bundle)
    assert footprint.keys() == {"unet", "vae", "text_encoder"}
    assert footprint["unet"] == 4 * sum(weight.numel() for weight in bundle.unet.parameters())
