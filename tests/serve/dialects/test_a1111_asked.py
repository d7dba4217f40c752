"""What the fields of A1111's img2img become, and what of them is refused or warned about."""

import io

import numpy as np
import pytest
from PIL import Image
from tests.serve.dialects.asking_a1111 import IMAGE, MASK, asked
from tests.serve.pictures import png, text

from retouch.errors import ImageError, InvalidField
from retouch.imaging.decode import decode_picture
from retouch.opened import open_pictures
from retouch.request import DEFAULT_LIMITS, validate
from retouch.serve.dialects.a1111_asked import Asked
from retouch.serve.dialects.a1111_fields import BY_NAME

PICTURE = text(png(IMAGE))


def repainted(of: Asked) -> np.ndarray:
    """Return the pixels that a request repaints."""
    return open_pictures(of.request, DEFAULT_LIMITS).mask.pixels


def drawn(mode: str = "L") -> Image.Image:
    """Return the mask as a Pillow image, white on black."""
    return Image.fromarray(MASK.astype(np.uint8) * 255).convert(mode)


def strokes(alpha: int = 255, *, colour: int = 0, ground: int = 0) -> str:
    """Return a layer with the mask drawn in one colour on a clear ground of another."""
    pixels = np.full((*MASK.shape, 4), ground, np.uint8)
    pixels[..., 3] = 0
    pixels[MASK] = (colour, colour, colour, alpha)
    return sent(Image.fromarray(pixels))


def sent(image: Image.Image) -> str:
    """Return a Pillow image as a client sends it."""
    file = io.BytesIO()
    image.save(file, "PNG")
    return text(file.getvalue())


def test_a_body_of_pictures_and_a_prompt_has_the_defaults_of_a1111() -> None:
    request = asked(steps=None).request
    validate(request)
    assert (request.prompt, request.prompt_syntax, request.clip_skip) == ("a cat", "a1111", 0)
    assert (request.num_inference_steps, request.guidance_scale, request.strength) == (50, 7.0, 0.75)
    assert (request.scheduler, request.seed, request.num_images_per_prompt) == ("Euler Uniform", None, 1)
    assert (request.region, request.padding_px, request.feather_px) == ("masked", 0, 4)
    assert (request.masked_content, request.safety) == ("fill", "black")


def test_fields_become_what_they_mean() -> None:
    request = asked(
        negative_prompt="blurry",
        cfg_scale=3,
        denoising_strength=0.5,
        seed=7,
        batch_size=2,
        n_iter=2,
        inpaint_full_res_padding=32,
        mask_blur=0,
    ).request
    assert (request.negative_prompt, request.guidance_scale, request.strength) == ("blurry", 3.0, 0.5)
    assert (request.seed, request.num_images_per_prompt) == (7, 4)
    assert (request.padding_px, request.feather_px) == (32, 0)


@pytest.mark.parametrize(("fill", "content"), enumerate(["fill", "original", "noise", "zeros"]))
def test_the_four_fills_are_four_contents(fill: int, content: str) -> None:
    assert asked(inpainting_fill=fill).request.masked_content == content


def test_numbers_may_be_written_as_text_as_a1111_takes_them() -> None:
    request = asked(steps="20", cfg_scale="7.5", seed="4294967295", inpaint_full_res=0, batch_size=2.0).request
    assert (request.num_inference_steps, request.guidance_scale, request.seed) == (20, 7.5, 2**32 - 1)
    assert (request.region, request.num_images_per_prompt) == ("whole", 2)


def test_null_stands_for_the_default() -> None:
    nulls = dict.fromkeys(name for name in BY_NAME if name not in ("init_images", "mask"))
    request = asked(**nulls).request
    assert (request.num_inference_steps, request.scheduler, request.feather_px) == (50, "Euler Uniform", 4)


def test_a_path_is_bytes_like_any_other_text() -> None:
    request = asked(init_images=["/etc/passwd"]).request
    assert isinstance(request.image, bytes)
    with pytest.raises(ImageError):
        decode_picture(request.image)


def test_white_is_repainted_or_with_invert_the_rest() -> None:
    assert np.array_equal(repainted(asked()), MASK)
    assert np.array_equal(repainted(asked(inpainting_mask_invert=1)), ~MASK)


@pytest.mark.parametrize("mode", ["1", "L", "RGB", "P", "RGBA"])
def test_an_opaque_mask_is_read_by_its_light_in_every_mode(mode: str) -> None:
    assert np.array_equal(repainted(asked(mask=sent(drawn(mode)))), MASK)


@pytest.mark.parametrize("colour", [0, 255])
def test_a_mask_whose_alpha_varies_is_repainted_where_it_is_opaque(colour: int) -> None:
    layer = strokes(colour=colour, ground=255 - colour)
    assert np.array_equal(repainted(asked(mask=layer)), MASK)
    assert np.array_equal(repainted(asked(mask=layer, inpainting_mask_invert=1)), ~MASK)


def test_an_alpha_counts_as_opaque_above_128() -> None:
    assert np.array_equal(repainted(asked(mask=strokes(129))), MASK)
    half = {"mask": strokes(128), "inpainting_mask_invert": 1}
    assert repainted(asked(**half)).all()


def test_of_grey_with_alpha_the_grey_counts() -> None:
    clear = Image.merge("LA", (drawn(), Image.new("L", drawn().size)))
    assert np.array_equal(repainted(asked(mask=sent(clear))), MASK)


def test_the_mask_blends_inwards_in_a_crop_and_not_at_all_over_the_whole_picture() -> None:
    crop, whole = asked(mask_blur=6), asked(mask_blur=6, inpaint_full_res=False, inpaint_full_res_padding=9)
    assert (crop.request.feather_px, whole.request.feather_px) == (6, 0)
    assert (whole.request.region, whole.request.padding_px) == ("whole", None)
    assert all(any(one.startswith("mask_blur: ") for one in each.warnings) for each in (crop, whole))
    assert not any(one.startswith("mask_blur: ") for one in asked(mask_blur=0).warnings)


def test_the_larger_blur_counts_where_there_are_two() -> None:
    assert asked(mask_blur_x=1, mask_blur_y=9).request.feather_px == 9
    assert asked(mask_blur_x=1, mask_blur_y=9, mask_blur=2).request.feather_px == 2


def test_layers_of_clip_are_counted_from_one() -> None:
    assert asked(override_settings={"CLIP_stop_at_last_layers": 2}).request.clip_skip == 1
    with pytest.raises(InvalidField, match="CLIP_stop_at_last_layers"):
        asked(override_settings={"CLIP_stop_at_last_layers": 0})


@pytest.mark.parametrize(
    "name", ["tiny", "TINY.safetensors", "tiny.ckpt", "tiny.safetensors [0123456789]", "0123456789"]
)
def test_the_checkpoint_may_be_named_if_it_is_the_one(name: str) -> None:
    asked(override_settings={"sd_model_checkpoint": name})


def test_options_that_nobody_knows_have_no_effect_and_say_so() -> None:
    warnings = asked(override_settings={"grid_format": "png", "sd_vae": "automatic"}).warnings
    assert "override_settings: not known here, without effect: 'grid_format'" in warnings


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"init_images": []}, "init_images: must be a list of one"),
        ({"init_images": None}, "init_images: must be a list of one"),
        ({"init_images": [PICTURE] * 2}, "init_images: holds 2 pictures"),
        ({"init_images": "iVBO"}, "init_images: must be a list of one"),
        ({"mask": None}, "mask: is missing"),
        ({"mask": ""}, "mask: is missing"),
        ({"inpainting_fill": 4}, "inpainting_fill: is 4, must be 0 to 3"),
        ({"inpainting_mask_invert": 2}, "inpainting_mask_invert: is 2"),
        ({"resize_mode": -1}, "resize_mode: is -1"),
        ({"batch_size": 0}, "batch_size: is 0"),
        ({"batch_size": 4, "n_iter": 5}, "batch_size: times n_iter is 20, at most 16"),
        ({"batch_size": 10**18, "n_iter": 10**18}, "batch_size: times n_iter is"),
        ({"steps": "many"}, "steps: must be a whole number, not 'many'"),
        ({"steps": 2.5}, "steps: must be a whole number"),
        ({"steps": True}, "steps: must be a whole number"),
        ({"cfg_scale": "nan"}, "cfg_scale: must be a finite number"),
        ({"cfg_scale": [7]}, "cfg_scale: must be a finite number"),
        ({"inpaint_full_res": "yes"}, "inpaint_full_res: must be true or false"),
        ({"prompt": ["a"]}, "prompt: must be text"),
        ({"override_settings": []}, "override_settings: must be an object"),
        (
            {"override_settings": {"sd_model_checkpoint": "other"}},
            "override_settings.sd_model_checkpoint: is 'tiny",
        ),
        ({"override_settings": {"sd_vae": "other.pt"}}, "override_settings.sd_vae: is 'Automatic' and cannot"),
        ({"override_settings": {"img2img_fix_steps": True}}, "override_settings.img2img_fix_steps"),
        ({"styles": ["anime"]}, "styles: there are no styles"),
        ({"subseed_strength": 0.1}, "subseed_strength: variation seeds"),
        ({"seed_resize_from_h": 512}, "seed_resize_from_h: variation seeds"),
        ({"restore_faces": True}, "restore_faces: "),
        ({"tiling": True}, "tiling: "),
        ({"latent_mask": "iVBO"}, "latent_mask: "),
        ({"refiner_checkpoint": "sdxl"}, "refiner_checkpoint: "),
        ({"script_name": "outpainting mk2"}, "script_name: there are no scripts"),
        (
            {"alwayson_scripts": {"ControlNet": {"args": [{"enabled": True}]}}},
            "alwayson_scripts: there are no scripts",
        ),
        ({"alwayson_scripts": {"x": 1}}, "alwayson_scripts: there are no scripts"),
        ({"infotext": "a cat"}, "infotext: "),
    ],
)
def test_what_cannot_be_had_is_refused_by_the_name_of_its_field(fields: dict, message: str) -> None:
    with pytest.raises(InvalidField) as caught:
        asked(**fields)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    "fields",
    [
        {"styles": [], "tiling": False, "restore_faces": 0, "subseed_strength": 0, "seed_resize_from_w": 0},
        {
            "script_name": "",
            "refiner_checkpoint": "None",
            "alwayson_scripts": {"ADetailer": {"args": [False]}, "x": {}},
        },
        {"s_churn": 0, "s_tmin": 0, "s_tmax": 0, "s_noise": 1, "eta": 1.0, "sampler_name": "Euler a"},
        {"mask_round": True, "initial_noise_multiplier": 1, "save_images": False, "image_cfg_scale": 1.5},
        {"override_settings": {"s_churn": 0}, "override_settings_restore_afterwards": False},
        {
            "do_not_save_samples": True,
            "do_not_save_grid": True,
            "force_task_id": "x",
            "script_args": [1],
            "subseed": 3,
        },
    ],
)
def test_what_asks_for_nothing_gets_no_warning(fields: dict) -> None:
    assert asked(mask_blur=0, **fields).warnings == ()


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"s_churn": 0.4}, "s_churn"),
        ({"s_noise": 1.1}, "s_noise"),
        ({"s_min_uncond": 2}, "s_min_uncond"),
        ({"initial_noise_multiplier": 0.9}, "initial_noise_multiplier"),
        ({"mask_round": False}, "mask_round"),
        ({"save_images": True}, "save_images"),
        ({"eta": 0, "sampler_name": "Euler a"}, "eta"),
        ({"eta": 1, "sampler_name": "DDIM"}, "eta"),
        ({"cfg_scale": 0.5}, "cfg_scale"),
    ],
)
def test_what_would_shift_the_picture_is_warned_about(fields: dict, name: str) -> None:
    (warning,) = asked(mask_blur=0, **fields).warnings
    assert warning.startswith(f"{name}: ")


def test_any_number_of_strange_fields_makes_one_short_warning() -> None:
    (warning,) = asked(mask_blur=0, **{f"strange {k}" + "x" * 5_000: k + 1 for k in range(900)}).warnings
    assert warning.startswith("not known here, without effect: 'strange 0")
    assert warning.endswith("and 895 more")
    assert len(warning) < 300


def test_the_echo_holds_pictures_only_where_they_are_wanted_back() -> None:
    assert asked().fields["init_images"] is asked().fields["mask"] is None
    assert asked(include_init_images=True).fields["init_images"] == [PICTURE]
