"""Weights leave the file that they were mapped from."""

import re
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from retouch.models.unmap import unmap

SIDE = 2048


def mapped_layer(path: Path) -> torch.nn.Linear:
    weights = {"weight": torch.randn(SIDE, SIDE), "bias": torch.randn(SIDE)}
    save_file(weights, path)
    layer = torch.nn.Linear(SIDE, SIDE, device="meta")
    layer.load_state_dict(load_file(path), assign=True)
    return layer


def resident_kib(path: Path) -> int:
    """Pages of a mapped file that this process holds."""
    smaps = Path("/proc/self/smaps").read_text()
    parts = re.findall(rf"{re.escape(str(path))}\n.*?Rss:\s+(\d+) kB", smaps, flags=re.DOTALL)
    return sum(int(part) for part in parts)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc tells what is mapped")
def test_pages_are_given_back_and_values_stay(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    layer = mapped_layer(path)
    view = layer.weight.detach()  # keeps the mapping alive
    before = view.clone()
    assert resident_kib(path) > 4 * SIDE * SIDE // 1024 * 0.9
    unmap(layer)
    assert resident_kib(path) < 4 * SIDE * SIDE // 1024 * 0.1
    assert layer.weight.data_ptr() != view.data_ptr()
    assert torch.equal(layer.weight, before)
    assert torch.equal(view, before)  # read again, from the file


def test_convolutions_come_out_channels_last(tmp_path: Path) -> None:
    layer = torch.nn.Conv2d(8, 8, 3)
    before = layer.weight.detach().clone()
    unmap(layer)
    assert layer.weight.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(layer.weight, before)
