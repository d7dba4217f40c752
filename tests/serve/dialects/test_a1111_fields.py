"""Each field of A1111's img2img has one decision, and the documentation tells it."""

import json
import re
from pathlib import Path

import pytest

from retouch.serve.dialects.a1111_fields import BY_NAME, FIELDS, in_their_words, schema

PAGE = Path(__file__).parents[3] / "docs" / "serve.md"
A1111 = """
    alwayson_scripts batch_size cfg_scale comments denoising_strength disable_extra_networks
    do_not_save_grid do_not_save_samples eta force_task_id height image_cfg_scale include_init_images
    infotext init_images initial_noise_multiplier inpaint_full_res inpaint_full_res_padding inpainting_fill
    inpainting_mask_invert latent_mask mask mask_blur mask_blur_x mask_blur_y mask_round n_iter
    negative_prompt override_settings override_settings_restore_afterwards prompt refiner_checkpoint
    refiner_switch_at resize_mode restore_faces s_churn s_min_uncond s_noise s_tmax s_tmin sampler_index
    sampler_name save_images scheduler script_args script_name seed seed_resize_from_h seed_resize_from_w
    send_images steps styles subseed subseed_strength tiling width
"""
"""The fields of `StableDiffusionImg2ImgProcessingAPI`, in A1111's modules api/models and processing."""


def test_every_field_of_a1111_has_one_decision() -> None:
    assert sorted(BY_NAME) == A1111.split()
    assert len(BY_NAME) == len(FIELDS)


def test_the_documentation_tells_every_decision() -> None:
    rows = re.findall(
        r"^\| `(\w+)` \| `(.*?)` \| (\w+) \| (.*?) ?\|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE
    )
    told = [(field.name, json.dumps(field.default), field.decision, field.note) for field in FIELDS]
    assert rows == told


def test_the_schema_has_a_description_for_every_field() -> None:
    made = schema()
    assert set(made["required"]) < set(made["properties"]) == set(BY_NAME)
    assert json.dumps(made)
    assert made["properties"]["tiling"]["description"].startswith("refused: ")


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("strength: is 0", "denoising_strength: is 0"),
        ("the `mask_polarity=black` is", "the `inpainting_mask_invert` is"),
        ("seed: is -2", "seed: is -2"),
        ("the image: is", "the image: is"),
        ("`grow_px` helps", "`grow_px` helps"),
    ],
)
def test_fields_of_a_request_are_called_by_a1111_s_names(ours: str, theirs: str) -> None:
    assert in_their_words(ours) == theirs
