"""What the configs of a checkpoint may say, class by class.

A bound here only has to be beyond every Stable Diffusion checkpoint and below what hurts by itself; what a number
takes in memory is bounded by the weights on disk (`build.py`). Keys that are not here are not read.
"""

import math
import reprlib
from collections.abc import Mapping
from typing import Any

from retouch.errors import ModelUnsafe, ModelUnsupported
from retouch.models.rules import (
    FLAG,
    TEXT,
    Rule,
    Schema,
    check,
    count,
    each,
    number,
    one_of,
    one_or_each,
    optional,
)

_WIDTH = count(16_384)
_DEPTH = count(64)
_HEADS = count(64)
_CHANNELS = count(64)
_SHARE = number(0, 1)
_ACTIVATION = one_of("silu", "swish", "mish", "gelu", "relu")
_EPSILON = number(1e-12, 1)
_NONE = one_of(None)
_TOKEN = optional(one_or_each(count(1_000_000, least=-1)))

UNET: Schema = {
    "sample_size": optional(one_or_each(count(1_024))),
    "in_channels": _CHANNELS,
    "out_channels": _CHANNELS,
    "center_input_sample": FLAG,
    "flip_sin_to_cos": FLAG,
    "freq_shift": count(1, least=0),
    "down_block_types": each(
        one_of("DownBlock2D", "CrossAttnDownBlock2D", "AttnDownBlock2D", "ResnetDownsampleBlock2D")
    ),
    "mid_block_type": one_of("UNetMidBlock2DCrossAttn", "UNetMidBlock2D", None),
    "up_block_types": each(one_of("UpBlock2D", "CrossAttnUpBlock2D", "AttnUpBlock2D", "ResnetUpsampleBlock2D")),
    "only_cross_attention": one_or_each(FLAG),
    "block_out_channels": each(_WIDTH),
    "layers_per_block": one_or_each(_DEPTH),
    "downsample_padding": count(1, least=0),
    "mid_block_scale_factor": number(1e-3, 1e3),
    "dropout": _SHARE,
    "act_fn": _ACTIVATION,
    "norm_num_groups": optional(_WIDTH),
    "norm_eps": _EPSILON,
    "cross_attention_dim": one_or_each(_WIDTH),
    "transformer_layers_per_block": one_or_each(_DEPTH),
    "reverse_transformer_layers_per_block": _NONE,
    "encoder_hid_dim": optional(_WIDTH),
    "encoder_hid_dim_type": _NONE,
    "attention_head_dim": one_or_each(_HEADS),  # diffusers' name for the number of heads
    "num_attention_heads": optional(one_or_each(_HEADS)),
    "dual_cross_attention": FLAG,
    "use_linear_projection": FLAG,
    "class_embed_type": _NONE,
    "addition_embed_type": one_of(None, "text"),
    "addition_time_embed_dim": optional(_WIDTH),
    "num_class_embeds": _NONE,
    "upcast_attention": optional(FLAG),
    "resnet_time_scale_shift": one_of("default", "scale_shift"),
    "resnet_skip_time_act": FLAG,
    "resnet_out_scale_factor": number(1e-3, 1e3),
    "time_embedding_type": one_of("positional", "fourier"),
    "time_embedding_dim": optional(_WIDTH),
    "time_embedding_act_fn": optional(_ACTIVATION),
    "timestep_post_act": optional(_ACTIVATION),
    "time_cond_proj_dim": optional(_WIDTH),
    "conv_in_kernel": one_of(1, 3, 5, 7),
    "conv_out_kernel": one_of(1, 3, 5, 7),
    "projection_class_embeddings_input_dim": optional(_WIDTH),
    "attention_type": one_of("default"),
    "class_embeddings_concat": FLAG,
    "mid_block_only_cross_attention": optional(FLAG),
    "cross_attention_norm": _NONE,
    "addition_embed_type_num_heads": _HEADS,
}
VAE: Schema = {
    "in_channels": one_of(3),
    "out_channels": one_of(3),
    "down_block_types": each(one_of("DownEncoderBlock2D", "AttnDownEncoderBlock2D")),
    "up_block_types": each(one_of("UpDecoderBlock2D", "AttnUpDecoderBlock2D")),
    "block_out_channels": each(_WIDTH),
    "layers_per_block": _DEPTH,
    "act_fn": _ACTIVATION,
    "latent_channels": _CHANNELS,
    "norm_num_groups": _WIDTH,
    "sample_size": one_or_each(_WIDTH),
    "scaling_factor": number(1e-3, 1e3),
    "shift_factor": optional(number(-1e3, 1e3)),
    "latents_mean": optional(each(number(-1e3, 1e3), most=64)),
    "latents_std": optional(each(number(-1e3, 1e3), most=64)),
    "force_upcast": FLAG,
    "use_quant_conv": FLAG,
    "use_post_quant_conv": FLAG,
    "mid_block_add_attention": FLAG,
}
_ASYMMETRIC = ("in_channels", "out_channels", "down_block_types", "up_block_types", "act_fn", "latent_channels",
               "norm_num_groups", "sample_size", "scaling_factor")  # fmt: skip
ASYMMETRIC_VAE: Schema = {
    **{key: VAE[key] for key in _ASYMMETRIC},
    "down_block_out_channels": each(_WIDTH),
    "layers_per_down_block": _DEPTH,
    "up_block_out_channels": each(_WIDTH),
    "layers_per_up_block": _DEPTH,
}
TINY_VAE: Schema = {
    **{
        key: VAE[key]
        for key in ("in_channels", "out_channels", "latent_channels", "scaling_factor", "force_upcast")
    },
    "encoder_block_out_channels": each(_WIDTH),
    "decoder_block_out_channels": each(_WIDTH),
    "num_encoder_blocks": each(_DEPTH),
    "num_decoder_blocks": each(_DEPTH),
    "act_fn": one_of("relu", "silu", "gelu"),
    "upsample_fn": one_of("nearest", "bilinear", "bicubic"),
    "upsampling_scaling_factor": one_of(2),
    "latent_magnitude": number(1e-3, 1e3),
    "latent_shift": number(-1e3, 1e3),
    "shift_factor": number(-1e3, 1e3),
}
_CLIP: Schema = {
    "hidden_size": _WIDTH,
    "intermediate_size": count(65_536),
    "projection_dim": optional(_WIDTH),
    "num_hidden_layers": _DEPTH,
    "num_attention_heads": _HEADS,
    "hidden_act": one_of("quick_gelu", "gelu", "gelu_new", "gelu_pytorch_tanh", "relu", "silu"),
    "layer_norm_eps": _EPSILON,
    "attention_dropout": _SHARE,
}
TEXT_ENCODER: Schema = {
    **_CLIP,
    "vocab_size": count(1_000_000),
    "max_position_embeddings": count(1_024, least=3),  # every prompt is as long; its ends take two
    "pad_token_id": _TOKEN,
    "bos_token_id": _TOKEN,
    "eos_token_id": _TOKEN,
    "use_attention_mask": FLAG,  # not CLIP's own: pipelines ask for it
}
VISION: Schema = {
    **_CLIP,
    "num_channels": one_of(3),
    "image_size": count(1_024),
    "patch_size": count(1_024),
}
_MAX_PATCHES = 64  # a side; attention grows with the fourth power
_TABLE = Rule("an object", lambda value: isinstance(value, dict))
SAFETY_CHECKER: Schema = {
    "projection_dim": _WIDTH,
    "vision_config": optional(_TABLE),
    "vision_config_dict": optional(_TABLE),
}
_SIDES = ("shortest_edge", "height", "width")
_SIDE = count(4_096)
_SIZE = Rule(
    "a side in pixels or an object of some",
    lambda value: (
        _SIDE.accepts(value)
        or (isinstance(value, dict) and set(value) <= set(_SIDES) and all(map(_SIDE.accepts, value.values())))
    ),
)
FEATURE_EXTRACTOR: Schema = {
    **{f"do_{step}": FLAG for step in ("resize", "center_crop", "convert_rgb", "rescale", "normalize")},
    "size": _SIZE,
    "crop_size": _SIZE,
    "image_mean": each(number(-10, 10), least=3, most=3),
    "image_std": each(number(1e-3, 10), least=3, most=3),
    "resample": count(5, least=0),
    "rescale_factor": number(1e-6, 1),
}
# Component -> the classes that its config may name in `_class_name`; the first where it names none.
SCHEMAS: Mapping[str, Mapping[str, Schema]] = {
    "unet": {"UNet2DConditionModel": UNET},
    "vae": {"AutoencoderKL": VAE, "AsymmetricAutoencoderKL": ASYMMETRIC_VAE, "AutoencoderTiny": TINY_VAE},
    "text_encoder": {"CLIPTextModel": TEXT_ENCODER},
    "safety_checker": {"StableDiffusionSafetyChecker": SAFETY_CHECKER},
}
# Schedulers have many classes with keys of their own, so all keys have the rules of their types.
_MAX_TIMESTEPS = 10_000
_PLAIN = Rule(
    "a number, a text, true, false or null",
    lambda value: (
        value is None
        or FLAG.accepts(value)
        or TEXT.accepts(value)
        or number(-_MAX_TIMESTEPS, _MAX_TIMESTEPS).accepts(value)
        or value in (-math.inf, math.inf)  # `lambda_min_clipped` of DPM++ is
    ),
)
_ANY = Rule(
    f"{_PLAIN.expected}, or a list of such",
    lambda value: _PLAIN.accepts(value) or each(_PLAIN, least=0).accepts(value),
)
_BETA = number(1e-9, 1)  # at 0 a step divides by the noise that it does not add
_SCHEDULER: Schema = {
    # Below it, a request for the most steps that are allowed could not be met.
    "num_train_timesteps": count(_MAX_TIMESTEPS, least=150),
    "beta_start": _BETA,
    "beta_end": _BETA,
    "trained_betas": optional(each(_BETA, most=_MAX_TIMESTEPS)),
    "prediction_type": TEXT,
    "_use_default_values": each(TEXT, least=0, most=100),
}


def class_of(component: str, config: Mapping[str, Any]) -> str:
    """Return the name of the class that a component's config is of.

    Raises:
        ModelUnsupported: it is none that retouch runs.
    """
    known = SCHEMAS[component]
    name = config.get("_class_name", next(iter(known)))
    if not (isinstance(name, str) and name in known):
        raise ModelUnsupported(f"{component} is a {reprlib.repr(name)}", hint=f"known: {', '.join(known)}")
    return name


def check_config(component: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a component's `config.json` says of the keys that its class has.

    Raises:
        ModelUnsafe: a value is of another type or beyond its bounds.
        ModelUnsupported: the class or a choice is of another family, or the weights are quantised.
    """
    where = f"{component}/config.json"
    if config.get("quantization_config") is not None:
        raise ModelUnsupported(f"{where}: the weights are quantised", hint="use the plain weights")
    values = check(where, config, SCHEMAS[component][class_of(component, config)])
    if component == "safety_checker":
        # As in transformers' CLIPConfig: the second form, where there is one, wins.
        vision = {**(values.pop("vision_config", None) or {}), **(values.pop("vision_config_dict", None) or {})}
        values["vision_config"] = check(where, vision, VISION)
        _check_patches(where, values["vision_config"])
    return values


def _check_patches(where: str, vision: Mapping[str, Any]) -> None:
    side = vision.get("image_size", 224) // vision.get("patch_size", 32)
    if side > _MAX_PATCHES:
        raise ModelUnsafe(f"{where}: {side} patches a side are beyond any Stable Diffusion checkpoint")


def check_scheduler(config: Mapping[str, Any]) -> None:
    """Check a scheduler's config, whatever its class.

    Raises:
        ModelUnsafe: a value is of another type or beyond its bounds.
    """
    check("scheduler/scheduler_config.json", config, {**dict.fromkeys(config, _ANY), **_SCHEDULER})


def check_feature_extractor(config: Mapping[str, Any], image_size: int) -> dict[str, Any]:
    """Return what a feature extractor's config says, for a checker that sees pictures of `image_size`.

    Raises:
        ModelUnsafe: a value is of another type, or makes pictures much larger than the checker sees.
    """
    where = "feature_extractor/preprocessor_config.json"
    values = check(where, config, FEATURE_EXTRACTOR)
    for key in ("size", "crop_size"):
        value = values.get(key, image_size)
        sides = value.values() if isinstance(value, dict) else [value]
        if any(side > 4 * image_size for side in sides):
            raise ModelUnsafe(f"{where}: {key} is {value}, the safety checker sees {image_size} pixels")
    return values
