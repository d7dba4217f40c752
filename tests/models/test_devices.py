"""Devices and precisions follow simple rules."""

import threading
from types import SimpleNamespace

import pytest
import torch

from retouch.errors import InvalidField
from retouch.models.devices import fast_dtypes, memory_bytes, pick_device, place, row_limits, use_threads
from retouch.models.options import LoadOptions


def test_cpu_computes_in_float32_unless_told_otherwise() -> None:
    assert place(LoadOptions(device="cpu")).dtype == torch.float32
    told = place(LoadOptions(device="cpu", dtype="bf16", vae_dtype="bf16"))
    assert (told.dtype, told.vae_dtype) == (torch.bfloat16, torch.bfloat16)


def test_vae_stays_in_float32_where_the_unet_does_not() -> None:
    assert place(LoadOptions(device="cpu", dtype="fp16")).vae_dtype == torch.float32


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


@pytest.mark.parametrize("field", ["dtype", "vae_dtype"])
def test_an_unknown_precision_is_an_error_of_its_field(field: str) -> None:
    with pytest.raises(InvalidField, match=f"^{field}: is 'float32'"):
        place(LoadOptions(device="cpu", **{field: "float32"}))  # type: ignore[arg-type]


@pytest.mark.parametrize("threads", [0, -1, 10**6, True, "2"])
def test_no_number_of_threads_is_an_error(threads: object) -> None:
    with pytest.raises(InvalidField, match="threads"):
        use_threads(threads)  # type: ignore[arg-type]


def test_threads_hold_for_threads_that_begin_later_too() -> None:
    before, seen = torch.get_num_threads(), []
    try:
        use_threads(3)
        use_threads(None)
        later = threading.Thread(target=lambda: seen.append(torch.get_num_threads()))
        later.start()
        later.join()
    finally:
        torch.set_num_threads(before)
    assert seen == [3]


def test_every_device_multiplies_in_fp32() -> None:
    assert fast_dtypes(torch.device("cpu"))[0] == "fp32"
    assert fast_dtypes(torch.device("mps")) == ("fp32", "fp16")


@pytest.mark.parametrize(("capability", "is_fast"), [((7, 5), False), ((8, 0), True), ((9, 0), True)])
def test_a_gpu_that_emulates_bf16_is_not_fast_at_it(
    monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int], is_fast: bool
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    properties = SimpleNamespace(major=capability[0], minor=capability[1])
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: properties)
    monkeypatch.setattr(torch.cuda, "_check_bf16_tensor_supported", lambda _: True)  # as emulation says
    assert ("bf16" in fast_dtypes(torch.device("cuda"))) == is_fast


def test_the_memory_of_a_gpu_is_known_where_there_is_one() -> None:
    assert memory_bytes(torch.device("cpu")) is None
    assert (memory_bytes(torch.device("cuda")) is not None) == torch.cuda.is_available()
