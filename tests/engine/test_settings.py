"""Settings of the engine."""

from dataclasses import FrozenInstanceError
from types import SimpleNamespace
from typing import cast

import pytest
import torch

from retouch.engine.settings import EngineSettings, rows_within
from retouch.models.bundle import ModelBundle


def test_free_calls_are_the_default_and_settings_do_not_change() -> None:
    settings = EngineSettings()
    assert settings.rows_per_call == 0
    with pytest.raises(FrozenInstanceError):
        settings.rows_per_call = 4  # type: ignore[misc]


GIB = 2**30


def _bundle(native_size: int, vae_dtype: torch.dtype = torch.float32, knee: int = 16) -> ModelBundle:
    config = SimpleNamespace(block_out_channels=(128, 256, 512, 512))
    facts = {"vae": SimpleNamespace(config=config), "native_size": native_size, "vae_dtype": vae_dtype}
    return cast("ModelBundle", SimpleNamespace(**facts, row_knee=knee))


@pytest.mark.parametrize(("memory_gib", "rows"), [(6, 2), (12, 4), (24, 8), (80, 16), (140, 16)])
def test_a_call_has_as_many_rows_as_surely_fit_a_gpu_and_no_more_than_pay(memory_gib: int, rows: int) -> None:
    """Stable Diffusion 1.5, whose VAE is in fp32."""
    assert rows_within(memory_gib * GIB, _bundle(512)) == rows


def test_smaller_pictures_and_a_smaller_precision_leave_room_for_more_rows() -> None:
    assert rows_within(12 * GIB, _bundle(512, torch.float16)) == 8
    assert rows_within(6 * GIB, _bundle(256, knee=32)) == 8
    assert rows_within(1, _bundle(4096)) == 2
