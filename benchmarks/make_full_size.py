"""Makes a checkpoint of Stable Diffusion 1.5 inpainting's exact shape, with random weights, for benchmarks.

    python benchmarks/make_full_size.py --folder DIR [--single-file FILE.safetensors]

4.3 GB of fp32 (860 M parameters in the UNet, 123 M in the text encoder, 84 M in the VAE). Times and memory do not
depend on what weights say, so no download is needed. Components are made, saved and freed one after the other.
"""

import argparse
import gc
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from safetensors import safe_open
from safetensors.torch import save_file
from transformers import CLIPTextConfig, CLIPTextModel

from retouch.models.clip_tokenizer import clip_tokenizer

SCHEDULER = {
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "clip_sample": False,
    "set_alpha_to_one": False,
    "steps_offset": 1,
}
INDEX = {
    "_class_name": "StableDiffusionInpaintPipeline",
    "_diffusers_version": "0.31.0",
    "vae": ["diffusers", "AutoencoderKL"],
    "text_encoder": ["transformers", "CLIPTextModel"],
    "tokenizer": ["transformers", "CLIPTokenizer"],
    "unet": ["diffusers", "UNet2DConditionModel"],
    "scheduler": ["diffusers", "DDIMScheduler"],
    "safety_checker": [None, None],
    "feature_extractor": [None, None],
    "requires_safety_checker": False,
}
_RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
_VAE_ATTENTION = {"group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "proj_out"}
_LEVELS, _LAYERS = 4, 2


def make_unet() -> UNet2DConditionModel:
    """Return the UNet of Stable Diffusion 1.5 inpainting: 9 channels in, 4 levels."""
    return UNet2DConditionModel(
        sample_size=64, in_channels=9, out_channels=4, cross_attention_dim=768, attention_head_dim=8
    )


def make_vae() -> AutoencoderKL:
    """Return the VAE: factor 8, 4 channels."""
    return AutoencoderKL(
        block_out_channels=(128, 256, 512, 512),
        down_block_types=("DownEncoderBlock2D",) * _LEVELS,
        up_block_types=("UpDecoderBlock2D",) * _LEVELS,
        layers_per_block=_LAYERS,
        latent_channels=4,
        sample_size=512,
    )


def make_text_encoder() -> CLIPTextModel:
    """Return the text model of CLIP ViT-L/14."""
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=49408,
            hidden_size=768,
            intermediate_size=3072,
            num_hidden_layers=12,
            num_attention_heads=12,
            max_position_embeddings=77,
            bos_token_id=49406,
            eos_token_id=49407,
            projection_dim=768,
        )
    )


def make_folder(folder: Path) -> None:
    """Write the checkpoint as a diffusers folder."""
    torch.manual_seed(0)
    for name, make in (("unet", make_unet), ("vae", make_vae), ("text_encoder", make_text_encoder)):
        component: Any = make()
        component.save_pretrained(folder / name)
        del component
        gc.collect()
    clip_tokenizer().save_pretrained(folder / "tokenizer")
    DDIMScheduler(**SCHEDULER).save_pretrained(folder / "scheduler")
    (folder / "model_index.json").write_text(json.dumps(INDEX, indent=2), encoding="utf-8")


def make_single_file(folder: Path, path: Path) -> None:
    """Write the folder's weights as one file, under the names of the original Stable Diffusion code."""
    weights = dict(_original_names(folder))
    save_file(weights, path, metadata={"format": "pt"})


def _original_names(folder: Path) -> Iterator[tuple[str, torch.Tensor]]:
    for part, prefix, name_of in (
        ("unet", "model.diffusion_model.", unet_name),
        ("vae", "first_stage_model.", vae_name),
        ("text_encoder", "cond_stage_model.transformer.", text_name),
    ):
        (file,) = (folder / part).glob("*.safetensors")
        with safe_open(file, framework="pt") as tensors:
            for key in tensors.keys():  # noqa: SIM118 - a safetensors file is not iterable
                tensor, name = tensors.get_tensor(key), prefix + name_of(key)
                is_projection = ".attn_1." in name and "norm" not in name and tensor.ndim == 2
                yield name, tensor[..., None, None].contiguous() if is_projection else tensor


def unet_name(key: str) -> str:
    """Return the original name of a UNet weight.

    The original counts blocks through all levels: input block 1 + level * (layers + 1) + layer, output block
    level * (layers + 1) + layer, with one more layer a level on the way up.
    """
    if match := re.match(r"(down|up)_blocks\.(\d+)\.(resnets|attentions|\w+samplers)\.(\d+)\.(.+)", key):
        way, level, kind, layer, rest = match[1], int(match[2]), match[3], int(match[4]), match[5]
        block = level * (_LAYERS + 1) + (_LAYERS if kind.endswith("samplers") else layer)
        if way == "down":
            place = f"input_blocks.{block + 1}"
            return f"{place}.{_inside(kind, rest)}" if kind != "downsamplers" else f"{place}.0.op.{rest[5:]}"
        # An upsampler stands behind the resnet of its block, and behind the attention where there is one.
        index = 1 if level == 0 else 2
        place = f"output_blocks.{block}"
        return f"{place}.{_inside(kind, rest)}" if kind != "upsamplers" else f"{place}.{index}.{rest}"
    if match := re.match(r"mid_block\.(resnets|attentions)\.(\d+)\.(.+)", key):
        index = {"resnets0": 0, "attentions0": 1, "resnets1": 2}[match[1] + match[2]]
        return f"middle_block.{index}.{_inside(match[1], match[3])[2:]}"
    for ours, theirs in (
        ("time_embedding.linear_1", "time_embed.0"),
        ("time_embedding.linear_2", "time_embed.2"),
        ("conv_in", "input_blocks.0.0"),
        ("conv_norm_out", "out.0"),
        ("conv_out", "out.2"),
    ):
        if key.startswith(ours + "."):
            return theirs + key.removeprefix(ours)
    raise KeyError(key)


def _inside(kind: str, rest: str) -> str:
    """Return a name within a block: part 0 is the resnet, part 1 the attention."""
    if kind != "resnets":
        return f"1.{rest}"
    part, _, parameter = rest.rpartition(".")
    return f"0.{_RESNET[part]}.{parameter}"


def vae_name(key: str) -> str:
    """Return the original name of a VAE weight; the original counts the way up from the last level."""
    key = re.sub(r"down_blocks\.(\d+)\.resnets", r"down.\1.block", key)
    key = re.sub(r"down_blocks\.(\d+)\.downsamplers\.0", r"down.\1.downsample", key)
    key = re.sub(r"up_blocks\.(\d+)", lambda match: f"up.{_LEVELS - 1 - int(match[1])}", key)
    key = key.replace(".resnets.", ".block.").replace("upsamplers.0", "upsample")
    key = key.replace("mid_block.block.0", "mid.block_1").replace("mid_block.block.1", "mid.block_2")
    key = key.replace("mid_block.attentions.0", "mid.attn_1").replace("conv_norm_out", "norm_out")
    key = key.replace("conv_shortcut", "nin_shortcut")
    if ".attn_1." in key:
        for ours, theirs in _VAE_ATTENTION.items():
            key = key.replace(ours, theirs)
    return key


def text_name(key: str) -> str:
    """Return the original name of a text encoder's weight: the one of transformers before its version 5."""
    return key if key.startswith("text_model.") else f"text_model.{key}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--single-file", type=Path)
    args = parser.parse_args()
    make_folder(args.folder)
    if args.single_file:
        make_single_file(args.folder, args.single_file)


if __name__ == "__main__":
    main()
