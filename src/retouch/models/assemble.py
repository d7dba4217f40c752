"""From a checkpoint's components to a `ModelBundle`: every fact is read from the configs."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import torch

from retouch.errors import ModelUnsupported
from retouch.models.bundle import Kind, ModelBundle
from retouch.models.components import Components
from retouch.models.devices import Placement, row_limits
from retouch.models.options import PredictionType
from retouch.models.preview import PreviewMatrix
from retouch.models.unmap import unmap

# No weights tell what size they were trained on, and attention grows with the fourth power of a side: what is far
# beyond any Stable Diffusion 1.x or 2.x (768 pixels, 96 cells) keeps a machine busy for hours with any picture.
MAX_NATIVE_PX = 1_024
MAX_NATIVE_CELLS = 128


@dataclass(frozen=True, slots=True)
class Geometry:
    """Sizes and channels of a checkpoint."""

    kind: Kind
    latent_channels: int
    vae_factor: int
    native_size: int
    size_multiple: int


def assemble(components: Components, placement: Placement, *, name: str, path: Path | None) -> ModelBundle:
    """Check that the components fit each other, move them to the device, and state the facts about them.

    The modules are moved in place, set to evaluation, freed of gradients and laid out channels-last.

    Raises:
        ModelUnsupported: the parts do not make a Stable Diffusion checkpoint that retouch runs.
    """
    shape = geometry(components.unet.config, components.vae.config)
    check_fit(components)
    bound_tokens(components)
    scheduler = components.scheduler_config
    settle(components, placement)
    scaling, shift = _scaling(components.vae.config)
    preview = PreviewMatrix(
        components.vae, latent_channels=shape.latent_channels, scaling_factor=scaling, shift_factor=shift
    )
    cap, knee = row_limits(placement.device, _count(components.unet.parameters()))
    return ModelBundle(
        name=name,
        path=path,
        unet=components.unet,
        vae=components.vae,
        text_encoder=components.text_encoder,
        tokenizer=components.tokenizer,
        kind=shape.kind,
        latent_channels=shape.latent_channels,
        vae_factor=shape.vae_factor,
        native_size=shape.native_size,
        size_multiple=shape.size_multiple,
        scaling_factor=scaling,
        shift_factor=shift,
        prediction_type=prediction_type(scheduler),
        scheduler_class=str(scheduler["_class_name"]),
        scheduler_config=scheduler,
        preview_matrix=preview,
        content_hash=components.content_hash,
        device=placement.device,
        dtype=placement.dtype,
        vae_dtype=placement.vae_dtype,
        row_cap=cap,
        row_knee=knee,
        safety_checker=components.safety_checker,
        feature_extractor=components.feature_extractor,
        vocabulary=components.notes.vocabulary,
        recommended=components.notes.recommended,
        adapters=components.adapters,
        licence=components.notes.licence,
    )


def geometry(unet: Any, vae: Any) -> Geometry:
    """Read sizes and channels from the configs of UNet and VAE.

    The kind follows from the UNet's inputs: latents, mask and masked-image latents are `2 * channels + 1`.

    Raises:
        ModelUnsupported: the UNet takes other inputs, conditioning of other families, or far larger pictures.
    """
    channels = int(vae.latent_channels)
    kinds: dict[int, Kind] = {2 * channels + 1: "concat", channels: "blend"}
    if unet.in_channels not in kinds:
        raise ModelUnsupported(
            f"the UNet takes {unet.in_channels} channels, the VAE has {channels}",
            hint=f"retouch runs UNets of {2 * channels + 1} (inpainting) or {channels} channels",
        )
    for name in ("class_embed_type", "addition_embed_type", "encoder_hid_dim_type", "num_class_embeds"):
        # Of these only the pooled text is made from what every prompt brings.
        if getattr(unet, name, None) not in (None, "text"):
            raise ModelUnsupported(f"the UNet needs {name}", hint="retouch runs Stable Diffusion 1.x and 2.x")
    vae_factor = 2 ** (len(vae.block_out_channels) - 1)
    sample_size = unet.sample_size if isinstance(unet.sample_size, int) else max(unet.sample_size or (64,))
    native_size = int(sample_size) * vae_factor
    size_multiple = vae_factor * 2 ** (len(unet.block_out_channels) - 1)
    if sample_size > MAX_NATIVE_CELLS or native_size > MAX_NATIVE_PX:
        raise ModelUnsupported(
            f"the UNet's sample_size of {sample_size} means pictures of {native_size} px",
            hint=f"retouch runs models of at most {MAX_NATIVE_PX} px and {MAX_NATIVE_CELLS} latent cells a side",
        )
    if size_multiple > native_size:
        raise ModelUnsupported(
            f"sides must divide by {size_multiple}, which is more than the {native_size} px they have"
        )
    return Geometry(
        kind=kinds[unet.in_channels],
        latent_channels=channels,
        vae_factor=vae_factor,
        native_size=native_size,
        size_multiple=size_multiple,
    )


def check_fit(components: Components) -> None:
    """Check that the components were made for each other.

    Raises:
        ModelUnsupported: a width or a count differs; the message names both.
    """
    unet, vae, text = components.unet.config, components.vae.config, components.text_encoder.config
    if unet.out_channels != vae.latent_channels:
        raise ModelUnsupported(f"the UNet gives {unet.out_channels} channels, the VAE takes {vae.latent_channels}")
    width = unet.cross_attention_dim
    widths = {width} if isinstance(width, int) else set(width)
    if widths != {text.hidden_size}:
        raise ModelUnsupported(
            f"the UNet attends to {sorted(widths)} wide text, the text encoder gives {text.hidden_size}"
        )
    if len(components.tokenizer) > text.vocab_size:
        raise ModelUnsupported(
            f"the tokenizer has {len(components.tokenizer)} tokens, the text encoder knows {text.vocab_size}"
        )


def bound_tokens(components: Components) -> None:
    """Let the tokenizer cut where the text encoder ends (in place): its config may name no limit, or more."""
    positions = int(components.text_encoder.config.max_position_embeddings)
    components.tokenizer.model_max_length = min(components.tokenizer.model_max_length, positions)


def prediction_type(scheduler_config: Mapping[str, Any]) -> PredictionType:
    """Return what the UNet predicts, by the scheduler's config (`epsilon` where it is silent).

    Raises:
        ModelUnsupported: it is of another kind.
    """
    value = scheduler_config.get("prediction_type", "epsilon")
    for known in get_args(PredictionType):
        if value == known:
            return known  # type: ignore[no-any-return]  # get_args is typed Any
    raise ModelUnsupported(f"the checkpoint predicts {value!r}", hint="epsilon, v_prediction or sample")


def settle(components: Components, placement: Placement) -> None:
    """Move the modules to their home in their precision, ready for inference (in place).

    Under offload that is the CPU from the start: a device that cannot hold all must never see all of them. The
    safety checker then stays there for good.
    """
    for module, dtype in (
        (components.unet, placement.dtype),
        (components.text_encoder, placement.dtype),
        (components.vae, placement.vae_dtype),
        (components.safety_checker, None),  # its margins are computed in float32, whatever its weights are
    ):
        if module is not None:
            # Not diffusers' own `to`, which warns of casting even where nothing has to stay in float32.
            torch.nn.Module.to(module, device=placement.home, dtype=dtype)
            module.eval().requires_grad_(False)
            unmap(module)
    for module in (components.unet, components.vae):
        module.to(memory_format=torch.channels_last)


def _scaling(vae: Any) -> tuple[float, float]:
    if getattr(vae, "latents_mean", None) is not None or getattr(vae, "latents_std", None) is not None:
        raise ModelUnsupported("the VAE normalises its latents per channel")
    return float(vae.scaling_factor), float(getattr(vae, "shift_factor", None) or 0.0)


def _count(parameters: Iterable[torch.Tensor]) -> int:
    return sum(parameter.numel() for parameter in parameters)
