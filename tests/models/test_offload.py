"""One seat on the device: who works has it, the others wait outside."""

import subprocess
import sys
from pathlib import Path

import torch
from tests.factories import make_checkpoint

from retouch.models.assemble import settle
from retouch.models.devices import Placement
from retouch.models.folder import load_folder
from retouch.models.load import load_model
from retouch.models.offload import Seat, enable_offload
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


def test_under_offload_no_module_is_sent_to_the_device_while_loading(tmp_path: Path) -> None:
    make_checkpoint(tmp_path, safety_checker=True)
    components = load_folder(tmp_path, LoadOptions(device="cpu"))
    settle(components, Placement(torch.device("meta"), torch.float32, torch.float32, offload=True))
    for module in (components.unet, components.vae, components.text_encoder, components.safety_checker):
        assert {weight.device.type for weight in module.parameters()} == {"cpu"}


def test_an_offloaded_bundle_knows_its_preview_before_anyone_works(tmp_path: Path) -> None:
    bundle = load_model(make_checkpoint(tmp_path), LoadOptions(device="cpu", offload=True))
    calls: list[int] = []
    bundle.vae.decoder.register_forward_hook(lambda *_: calls.append(1))
    assert bundle.preview_matrix().shape == (5, 3)
    assert calls == []


def test_loading_without_offload_needs_no_accelerate() -> None:
    code = "import sys, retouch.models.offload; sys.exit('accelerate' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
