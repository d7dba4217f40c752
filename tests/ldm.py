"""Writes a tiny diffusers checkpoint as one file in the original Stable Diffusion layout."""

import re
from pathlib import Path

import torch
from diffusers import StableDiffusionInpaintPipeline
from safetensors.torch import save_file

Weights = dict[str, torch.Tensor]

_RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
_UNET_BLOCKS = {
    "down_blocks.0.resnets.0": "input_blocks.1.0",
    "down_blocks.0.attentions.0": "input_blocks.1.1",
    "down_blocks.0.downsamplers.0.conv": "input_blocks.2.0.op",
    "down_blocks.1.resnets.0": "input_blocks.3.0",
    "mid_block.resnets.0": "middle_block.0",
    "mid_block.attentions.0": "middle_block.1",
    "mid_block.resnets.1": "middle_block.2",
    "up_blocks.0.resnets.0": "output_blocks.0.0",
    "up_blocks.0.resnets.1": "output_blocks.1.0",
    "up_blocks.0.upsamplers.0.conv": "output_blocks.1.1.conv",
    "up_blocks.1.resnets.0": "output_blocks.2.0",
    "up_blocks.1.attentions.0": "output_blocks.2.1",
    "up_blocks.1.resnets.1": "output_blocks.3.0",
    "up_blocks.1.attentions.1": "output_blocks.3.1",
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "conv_in": "input_blocks.0.0",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
}
_OPEN_CLIP = {
    "layer_norm1": "ln_1",
    "layer_norm2": "ln_2",
    "mlp.fc1": "mlp.c_fc",
    "mlp.fc2": "mlp.c_proj",
    "self_attn.out_proj": "attn.out_proj",
}


def single_file_weights(folder: Path, *, open_clip: bool = False) -> Weights:
    """Return a factory checkpoint's weights under the names of CompVis' (or, for the text, OpenCLIP's) code."""
    pipe = StableDiffusionInpaintPipeline.from_pretrained(folder)
    weights: Weights = {}
    for key, tensor in pipe.unet.state_dict().items():
        weights["model.diffusion_model." + _unet_name(key)] = tensor.contiguous()
    levels = len(pipe.vae.config.block_out_channels)
    for key, tensor in pipe.vae.state_dict().items():
        name = _vae_name(key, levels)
        is_projection = ".attn_1." in name and "norm" not in name and name.endswith("weight")
        weights["first_stage_model." + name] = tensor[..., None, None] if is_projection else tensor
    text = {key.removeprefix("text_model."): tensor for key, tensor in pipe.text_encoder.state_dict().items()}
    if open_clip:
        weights.update(_open_clip(text))
    else:
        weights.update({f"cond_stage_model.transformer.text_model.{key}": tensor for key, tensor in text.items()})
    return {key: tensor.contiguous().clone() for key, tensor in weights.items()}


def write_single_file(folder: Path, path: Path, *, open_clip: bool = False) -> Path:
    """Write `single_file_weights` as safetensors; return the path."""
    save_file(single_file_weights(folder, open_clip=open_clip), path)
    return path


def _unet_name(key: str) -> str:
    for ours, theirs in _UNET_BLOCKS.items():
        if key.startswith(ours + "."):
            rest = key.removeprefix(ours + ".")
            if "resnets" in ours:
                part, _, kind = rest.rpartition(".")
                rest = f"{_RESNET[part]}.{kind}"
            return f"{theirs}.{rest}"
    raise KeyError(key)


def _vae_name(key: str, levels: int) -> str:
    def up(match: re.Match[str]) -> str:
        return f"up.{levels - 1 - int(match[1])}."

    key = re.sub(r"down_blocks\.(\d+)\.resnets", r"down.\1.block", key)
    key = re.sub(r"down_blocks\.(\d+)\.downsamplers\.0", r"down.\1.downsample", key)
    key = (
        re.sub(r"up_blocks\.(\d+)\.", up, key).replace(".resnets.", ".block.").replace("upsamplers.0", "upsample")
    )
    key = key.replace("mid_block.block.0", "mid.block_1").replace("mid_block.block.1", "mid.block_2")
    key = key.replace("mid_block.attentions.0", "mid.attn_1").replace("conv_norm_out", "norm_out")
    key = key.replace("conv_shortcut", "nin_shortcut")
    if ".attn_1." in key:
        for ours, theirs in (
            ("group_norm", "norm"),
            ("to_q", "q"),
            ("to_k", "k"),
            ("to_v", "v"),
            ("to_out.0", "proj_out"),
        ):
            key = key.replace(ours, theirs)
    return key


def _open_clip(text: Weights) -> Weights:
    prefix = "cond_stage_model.model."
    weights: Weights = {
        prefix + "token_embedding.weight": text["embeddings.token_embedding.weight"],
        prefix + "positional_embedding": text["embeddings.position_embedding.weight"],
        prefix + "ln_final.weight": text["final_layer_norm.weight"],
        prefix + "ln_final.bias": text["final_layer_norm.bias"],
    }
    for key, tensor in text.items():
        match = re.fullmatch(r"encoder\.layers\.(\d+)\.(.+)\.(weight|bias)", key)
        if match and match[2] in _OPEN_CLIP:
            weights[f"{prefix}transformer.resblocks.{match[1]}.{_OPEN_CLIP[match[2]]}.{match[3]}"] = tensor
        elif match and match[2] == "self_attn.q_proj":
            parts = [text[key.replace("q_proj", f"{letter}_proj")] for letter in "qkv"]
            weights[f"{prefix}transformer.resblocks.{match[1]}.attn.in_proj_{match[3]}"] = torch.cat(parts)
    return weights
