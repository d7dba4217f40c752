"""Devices and precisions follow simple rules."""

import pytest
import torch

from retouch.errors import InvalidField
from retouch.models.devices import pick_device, place, row_limits
from retouch.models.options import LoadOptions


def test_cpu_computes_in_float32_unless_told_otherwise() -> None:
    assert place(LoadOptions(device="cpu")).dtype == torch.float32
    told = place(LoadOptions(device="cpu", dtype="bfloat16", vae_dtype="bfloat16"))
    assert (told.dtype, told.vae_dtype) == (torch.bfloat16, torch.bfloat16)


def test_vae_stays_in_float32_where_the_unet_does_not() -> None:
    assert place(LoadOptions(device="cpu", dtype="float16")).vae_dtype == torch.float32


@pytest.mark.parametrize("name", ["toaster", "cuda:99", "cpu:x"])
def test_devices_that_are_not_there_are_an_error_of_the_field(name: str) -> None:
    with pytest.raises(InvalidField, match="device"):
        pick_device(name)


def test_some_device_is_always_found() -> None:
    assert pick_device(None) == pick_device("auto")


def test_knee_is_never_above_the_cap_and_small_models_take_more_rows() -> None:
    for kind in ("cpu", "mps", "cuda"):
        small, large = (row_limits(torch.device(kind), count) for count in (10_000_000, 860_000_000))
        assert small[1] <= small[0]
        assert large[1] <= large[0] <= small[0]
