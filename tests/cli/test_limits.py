"""The environment widens and narrows what a command takes."""

from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from retouch.cli import inputs
from retouch.cli.limits import PREFIX, limits
from retouch.cli.loading import Checkpoint
from retouch.errors import BadInput, ImageTooLarge
from retouch.request import DEFAULT_LIMITS, Limits


def test_silence_is_the_defaults() -> None:
    assert limits() == DEFAULT_LIMITS


@pytest.mark.parametrize("name", [field.name for field in fields(Limits)])
def test_every_limit_has_its_variable(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(f"{PREFIX}{name.upper()}", "7")
    assert getattr(limits(), name) == 7


@pytest.mark.parametrize(
    ("name", "value"), [("IMAGE_PIXELS", "many"), ("IMAGE_SIDE", "0"), ("GUIDANCE_SCALE", "-1"), ("PIXELS", "9")]
)
def test_a_variable_that_cannot_be_used_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(PREFIX + name, value)
    with pytest.raises(BadInput, match=PREFIX + name):
        limits()


def test_limits_bind_the_files_and_the_model(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, checkpoint: Path
) -> None:
    Image.fromarray(np.zeros((30, 30, 3), np.uint8)).save(tmp_path / "a.png")
    assert inputs.picture(tmp_path / "a.png", option="--image").height == 30
    monkeypatch.setenv(PREFIX + "IMAGE_PIXELS", "899")
    with pytest.raises(ImageTooLarge):
        inputs.picture(tmp_path / "a.png", option="--image")
    with Checkpoint(model=str(checkpoint)).load() as inpainter:
        assert inpainter.limits.image_pixels == 899
