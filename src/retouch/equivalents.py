"""What arguments of other tools are called here: one table for the Python call and the command line."""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches

_LATENTS = "is not offered: pictures go in as pixels, text as text"
_PROGRESS = "is not offered: `run(request, on_progress=...)` or the `progress` of a job tell how far it is"
_SIZE = "is not offered: the result has the size of the picture, so scale that"
_LOADING = "belongs to loading: `Inpainter.load(model, options=LoadOptions(...))`"

# Name elsewhere -> fields of a request that do it, or a sentence.
EQUIVALENTS: Mapping[str, tuple[str, ...] | str] = {
    # the call of diffusers' StableDiffusionInpaintPipeline
    "callback": _PROGRESS,
    "callback_on_step_end": _PROGRESS,
    "callback_on_step_end_tensor_inputs": _PROGRESS,
    "callback_steps": _PROGRESS,
    "cross_attention_kwargs": "is not offered: the scale of a LoRA is given where it is loaded, as `file:0.8`",
    "eta": "is not offered: a scheduler such as 'Euler a' or 'DDPM' draws noise at every step",
    "generator": ("seed",),
    "height": _SIZE,
    "ip_adapter_image": "is not offered: pictures that stand for a prompt are not understood",
    "ip_adapter_image_embeds": "is not offered: pictures that stand for a prompt are not understood",
    "latents": ("seed",),
    "masked_image_latents": _LATENTS,
    "negative_prompt_embeds": _LATENTS,
    "output_type": "is not offered: a result has `image` and `images` for Pillow, and `save` for files",
    "padding_mask_crop": ("region", "padding_px"),
    "prompt_embeds": _LATENTS,
    "return_dict": "is not offered: a call returns an `InpaintResult`",
    "sigmas": ("scheduler", "num_inference_steps"),
    "timesteps": ("scheduler", "num_inference_steps"),
    "width": _SIZE,
    # A1111's img2img
    "CLIP_stop_at_last_layers": "is `clip_skip` and one more",
    "batch_size": ("num_images_per_prompt",),
    "cfg_scale": ("guidance_scale",),
    "denoising_strength": ("strength",),
    "init_images": ("image",),
    "inpaint_full_res": ("region",),
    "inpaint_full_res_padding": ("padding_px",),
    "inpainting_fill": ("masked_content",),
    "infill_method": ("masked_content",),
    "inpainting_mask_invert": ("mask_polarity",),
    "mask": ("mask_image",),
    "mask_blur": ("feather_px",),
    "n_iter": ("num_images_per_prompt",),
    "sampler": ("scheduler",),
    "sampler_index": ("scheduler",),
    "sampler_name": ("scheduler",),
    "steps": ("num_inference_steps",),
    # this command line's short names
    "deadline": ("deadline_s",),
    "feather": ("feather_px",),
    "grow": ("grow_px",),
    "num_images": ("num_images_per_prompt",),
    "padding": ("padding_px",),
    # options of loading
    "device": _LOADING,
    "dtype": _LOADING,
    "embedding": _LOADING,
    "lora": _LOADING,
    "model": _LOADING,
    "torch_dtype": _LOADING,
    "vae": _LOADING,
}


_MOST_CHARS = 100
"""Of a name that is compared with others: a client may send one of megabytes."""


def equivalent(name: str, known: Iterable[str]) -> str:
    """Say what to use in the place of an argument that does not exist; empty where nothing is known of it.

    Args:
        known: the fields that do exist; one of nearly the same name is taken for what was meant.
    """
    found = EQUIVALENTS.get(name)
    if isinstance(found, str):
        return f"{name} {found}"
    if found is None:
        is_name = len(name) <= _MOST_CHARS
        found = tuple(get_close_matches(name, list(known), n=1, cutoff=0.7)) if is_name else ()
    return f"use {' and '.join(found)}" if found else ""


def fields_for(name: str) -> tuple[str, ...]:
    """Return the fields of a request that do what an argument does elsewhere; empty where none do."""
    found = EQUIVALENTS.get(name, ())
    return () if isinstance(found, str) else found
