"""The library's texts in the words of the command line."""

import subprocess
import sys
from dataclasses import fields

import pytest
from typer.testing import CliRunner

from retouch.cli.main import app
from retouch.cli.words import message_of, option_of, spoken
from retouch.errors import InvalidField
from retouch.models.options import LoadOptions
from retouch.request import InpaintRequest

PYTHON_ONLY = {"vae_dtype", "variant", "cache_dir"}
"""Fields of loading that no option sets."""


@pytest.fixture(scope="module")
def help_text() -> str:
    """The help of `inpaint`, wide enough not to be cut."""
    return CliRunner().invoke(app, ["inpaint", "--help"], env={"COLUMNS": "400", "TERMINAL_WIDTH": "400"}).output


@pytest.mark.parametrize(
    "name", sorted({field.name for kind in (InpaintRequest, LoadOptions) for field in fields(kind)} - PYTHON_ONLY)
)
def test_every_field_is_known_by_an_option_that_exists(name: str, help_text: str) -> None:
    option = option_of(name)
    assert option is not None
    assert f"{option} " in help_text or f"{option}," in help_text


def test_fields_in_backticks_become_options() -> None:
    text = (
        "give `mask_image`, or `mask_polarity=transparent`; `grow_px=2` and `feather_px`, never `os.path` or `x`"
    )
    assert spoken(text) == (
        "give --mask-image, or --mask-polarity transparent; --grow 2 and --feather, never `os.path` or `x`"
    )


def test_the_field_of_an_error_becomes_its_option() -> None:
    assert message_of(InvalidField("grow_px", "is -1")) == "--grow: is -1"
    assert message_of(InvalidField("elsewhere", "is -1")) == "elsewhere: is -1"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--steps", "0"], "--num-inference-steps: is 0"),
        (["--grow", "-3"], "--grow: is -3"),
        (["--deadline", "-1"], "--deadline: is -1"),
        ([], "give --mask-image, or a picture whose transparent part"),
    ],
)
def test_errors_are_told_in_options(options: list[str], words: str, tmp_path: str) -> None:
    from PIL import Image

    Image.new("RGB", (8, 8)).save(f"{tmp_path}/in.png")
    command = [sys.executable, "-m", "retouch.cli", "inpaint", "-i", "in.png", "-p", "a cat", "-o", "out.png"]
    done = subprocess.run([*command, *options], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert words in done.stderr
