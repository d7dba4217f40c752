from dataclasses import fields
from typing import get_args

import typer
from typer.testing import CliRunner

from retouch.cli import inpaint as command
from retouch.request import InpaintRequest, LatentMask, MaskedContent, Polarity, RegionMode, SafetyPolicy

ALIASES = {
    "image": {"--image", "-i"},
    "mask_image": {"--mask-image", "--mask", "-m"},
    "prompt": {"--prompt", "-p"},
    "output": {"--output", "-o"},
    "negative_prompt": {"--negative-prompt", "-n"},
    "num_inference_steps": {"--num-inference-steps", "--steps"},
    "num_images_per_prompt": {"--num-images-per-prompt", "--num-images"},
    "guidance_scale": {"--guidance-scale", "--cfg-scale"},
    "seed": {"--seed", "-s"},
    "padding_px": {"--padding"},
    "grow_px": {"--grow"},
    "feather_px": {"--feather"},
}
OPTIONS = {option.name: option for option in typer.main.get_command(command.app).params}


def test_every_field_of_a_request_has_an_option() -> None:
    assert {field.name for field in fields(InpaintRequest)} <= OPTIONS.keys()


def test_options_answer_to_the_names_that_fingers_know() -> None:
    assert {name: set(OPTIONS[name].opts) for name in ALIASES} == ALIASES


def test_no_option_repeats_a_default_of_the_request() -> None:
    names = {field.name for field in fields(InpaintRequest)} - {"image", "prompt"}
    assert {name: OPTIONS[name].default for name in names} == dict.fromkeys(names)


def test_help_shows_the_requests_defaults() -> None:
    for field in fields(InpaintRequest):
        if isinstance(field.default, str | int | float) and field.default not in (False, ""):
            assert f"[default: {field.default}]" in (OPTIONS[field.name].help or "")


def test_help_offers_the_choices_of_the_request() -> None:
    shown = CliRunner().invoke(command.app, ["--help"], terminal_width=200).output
    for kind in (Polarity, RegionMode, LatentMask, MaskedContent, SafetyPolicy):
        assert "|".join(get_args(kind)) in shown
