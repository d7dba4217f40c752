from pathlib import Path

import numpy as np
import pytest

from retouch.cli.loading import Checkpoint
from retouch.errors import InvalidField, ModelNotFound, ModelUnsupported


def test_fields_are_picked_out_of_a_commands_options() -> None:
    given = {"model": "m", "device": "cpu", "prompt": "a cat", "lora": ["a:0.5"]}
    assert Checkpoint.of(given) == Checkpoint(model="m", device="cpu", lora=["a:0.5"])


def test_rows_reach_the_engine_and_the_result(checkpoint: Path) -> None:
    image, mask = np.zeros((32, 32, 3), np.uint8), np.full((32, 32), 255, np.uint8)
    with Checkpoint(model=str(checkpoint), rows_per_call=3).load() as inpainter:
        result = inpainter("a cat", image, mask, num_inference_steps=1)
    assert result.fills[0].metadata.record["rows_per_call"] == 3


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"device": "abacus"}, InvalidField),
        ({"dtype": "fp8"}, InvalidField),
        ({"vae_dtype": "fp8"}, InvalidField),
        ({"threads": 0}, InvalidField),
        ({"lora": ["missing.safetensors:0.5"]}, ModelNotFound),
        ({"vae": Path("missing.safetensors")}, ModelNotFound),
        ({"embedding": ["<cat>=missing.safetensors"]}, ModelNotFound),
        ({"model": "no/such", "offline": True}, ModelNotFound),
        ({"config_from": Path("elsewhere")}, InvalidField),
        ({"prediction_type": "velocity"}, ModelUnsupported),
    ],
)
def test_every_option_reaches_the_loader(
    checkpoint: Path, wrong: dict[str, object], error: type[Exception]
) -> None:
    with pytest.raises(error):
        Checkpoint(**({"model": str(checkpoint)} | wrong)).load()  # type: ignore[arg-type]


def test_what_the_unet_predicts_can_be_told(checkpoint: Path) -> None:
    with Checkpoint(model=str(checkpoint), prediction_type="sample", offload=True).load() as inpainter:
        assert inpainter.bundle.prediction_type == "sample"
