"""LoRAs: which layers a file changes, in whichever of the known spellings, and fusing them into the weights."""

import json
import math
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open

from retouch.errors import ModelUnsupported
from retouch.models.checks import read_weights, weight_format
from retouch.models.components import Components

# How a key ends, and what it holds: kohya's spelling, PEFT's, and those of diffusers.
_ROLES: Mapping[str, str] = {
    **{f"{end}.weight": "down" for end in (".lora_down", ".lora_A", ".lora.down", ".lora_linear_layer.down")},
    **{f"{end}.weight": "up" for end in (".lora_up", ".lora_B", ".lora.up", ".lora_linear_layer.up")},
    "_lora.down.weight": "down",
    "_lora.up.weight": "up",
    ".alpha": "alpha",
    ".lora_magnitude_vector": "magnitude",
    ".lora_magnitude_vector.weight": "magnitude",
}
# What is known and not applied, by a pattern of its keys.
_OTHER_KINDS: Mapping[str, str] = {
    r"\.hada_": "a LyCORIS LoHa",
    r"\.lokr_": "a LyCORIS LoKr",
    r"\.lora_mid\.": "a LyCORIS LoCon with Tucker decomposition",
    r"\.b?oft_": "a LyCORIS OFT",
    r"\.on_input$": "a LyCORIS (IA)^3",
    r"\.[ab][12]\.weight$": "a LyCORIS GLoRA",
    r"\.diff(_b)?$": "a LyCORIS of full differences",
    r"\.dora_scale$": "a DoRA in LyCORIS' spelling, whose scale tools read differently; PEFT's is applied",
}
# Where the oldest spelling of diffusers puts another name for a layer, by component.
_OLD_LAYERS: Mapping[str, Mapping[str, str]] = {
    "unet": {".to_out": ".to_out.0"},
    "text_encoder": {".to_q": ".q_proj", ".to_k": ".k_proj", ".to_v": ".v_proj", ".to_out": ".out_proj"},
}
_METADATA = "lora_adapter_metadata"  # where diffusers writes PEFT's configs into a safetensors file
_PLAIN_PATTERN = re.compile(r"\^?[\w.]+")


@dataclass(frozen=True, slots=True)
class _Alphas:
    """Of one component: the alpha of every layer for which the weights hold none, by PEFT's config."""

    alpha: float | None = None
    patterns: tuple[tuple[str, float], ...] = ()
    is_root: bool = False

    def factor(self, path: str, rank: int, own: float | None) -> float:
        """Return what `up @ down` is multiplied by: alpha / rank, or alpha / sqrt(rank) for rsLoRA."""
        alpha = own if own is not None else self._of(path)
        if alpha is None:
            return 1.0
        return alpha / (math.sqrt(rank) if self.is_root else rank)

    def _of(self, path: str) -> float | None:
        for pattern, alpha in self.patterns:
            exact = _plain(pattern.removeprefix("^"))
            if _plain(path) == exact or (pattern[0] != "^" and path.endswith(f".{exact}")):
                return alpha
        return self.alpha


def fuse_lora(components: Components, path: Path, scale: float, *, allow_pickle: bool) -> None:
    """Add a LoRA to the weights of the UNet and the text encoder (in place): W + scale * alpha / rank * up @ down.

    With PEFT's magnitude vector (DoRA, https://arxiv.org/abs/2402.09353, equation 5) each row of that has the
    length that the vector says. Nothing of the file is left out.

    Raises:
        ModelUnsafe: the file is a pickle that is not allowed, or lies about sizes.
        ModelUnsupported: it is no LoRA, or of a kind that is not applied, or has layers that are not there.
    """
    weights = read_weights(path, allow_pickle=allow_pickle)
    alphas = _alphas(path)
    for (component, name), parts in _layers(weights, components, path.name).items():
        module = getattr(components, component).get_submodule(name)
        _fuse(module, parts, alphas[component], scale, where=f"{path.name}: {component}.{name}", name=name)


def _fuse(
    module: torch.nn.Module,
    parts: Mapping[str, torch.Tensor],
    alphas: _Alphas,
    scale: float,
    *,
    where: str,
    name: str,
) -> None:
    weight = module.weight
    assert isinstance(weight, torch.Tensor)
    if not {"down", "up"} <= parts.keys():
        raise ModelUnsupported(f"{where} is not whole: it has {', '.join(sorted(parts))} only")
    down, up = (parts[part].float() for part in ("down", "up"))
    fits = min(up.ndim, down.ndim) >= 2 and min(up.numel(), down.numel()) > 0 and up[0].numel() == len(down)
    if not fits or (len(up), down[0].numel()) != (len(weight), weight[0].numel()):
        raise ModelUnsupported(
            f"{where} does not fit: {tuple(up.shape)} @ {tuple(down.shape)} for {tuple(weight.shape)}",
            hint="it was made for another family",
        )
    own = parts.get("alpha")
    if own is not None and own.numel() != 1:
        raise ModelUnsupported(f"{where} does not fit: it has {own.numel()} alphas")
    factor = alphas.factor(name, len(down), None if own is None else float(own))
    delta = up.flatten(1) @ down.flatten(1) * (scale * factor)
    changed = weight.data + delta.view_as(weight)
    if "magnitude" in parts:
        magnitude = parts["magnitude"].float().flatten()
        if len(magnitude) != len(weight):
            raise ModelUnsupported(f"{where} does not fit: {len(magnitude)} magnitudes for {len(weight)} rows")
        lengths = changed.flatten(1).norm(dim=1)
        changed *= (magnitude / lengths).view(-1, *[1] * (changed.ndim - 1))
    weight.data = changed


def _layers(
    weights: Mapping[str, torch.Tensor], components: Components, name: str
) -> dict[tuple[str, str], dict[str, torch.Tensor]]:
    """Sort a file's tensors by the component and the path of the layer that they change, and by their role."""
    for pattern, kind in _OTHER_KINDS.items():
        if any(re.search(pattern, key) for key in weights):
            raise ModelUnsupported(f"{name} is {kind}", hint="retouch applies LoRA, also of convolutions")
    if not any("lora" in key for key in weights):
        raise ModelUnsupported(f"{name} is not a LoRA", hint="its weights have other names")
    known = _known_layers(components)
    layers: dict[tuple[str, str], dict[str, torch.Tensor]] = defaultdict(dict)
    strange = []
    for key, tensor in weights.items():
        suffix = next((suffix for suffix in _ROLES if key.endswith(suffix)), None)
        layer = None if suffix is None else known.get(_spelling(key.removesuffix(suffix), suffix))
        if suffix is None or layer is None:
            strange.append(key)
        else:
            layers[layer][_ROLES[suffix]] = tensor
    if strange:
        raise ModelUnsupported(
            f"{name}: {len(strange)} of its {len(weights)} weights are for no layer of this checkpoint, such as "
            f"{strange[0][:150]}",
            hint="it was made for another family, or by a tool whose names are not known",
        )
    return layers


def _known_layers(components: Components) -> dict[str, tuple[str, str]]:
    """Return every spelling of the layers that may be changed: diffusers' paths and kohya's names."""
    known = {}
    for component, prefix in (("unet", "lora_unet_"), ("text_encoder", "lora_te_")):
        for name, module in getattr(components, component).named_modules():
            if isinstance(module, torch.nn.Linear | torch.nn.Conv2d):
                plain = _plain(name)
                for spelling in (f"{component}.{plain}", prefix + plain.replace(".", "_")):
                    known[spelling] = (component, name)
    return known


def _spelling(path: str, suffix: str) -> str:
    """Return a layer's path as `_known_layers` has it."""
    if path.startswith("lora_"):
        return re.sub("^lora_te1?_(text_model_)?", "lora_te_", path)
    component, _, rest = path.partition(".")
    if component not in _OLD_LAYERS:
        component, rest = "unet", path  # diffusers' files of 2023 name no component, and hold the UNet's alone
    rest = _plain(rest).replace(".processor.", ".")
    if suffix.startswith("_lora"):
        layer = f".{rest.rpartition('.')[2]}"
        rest = rest.removesuffix(layer) + _OLD_LAYERS[component].get(layer, layer)
    return f"{component}.{rest}"


def _plain(path: str) -> str:
    # transformers 5 dropped this level of the text encoder, which most files name.
    return path.removeprefix("text_model.")


def _alphas(path: Path) -> dict[str, _Alphas]:
    """Read PEFT's config of each component out of a file's metadata, where diffusers saves it.

    Only numbers are taken: a PEFT config can name modules to import, and patterns that never end.
    """
    text = None
    if weight_format(path) == "safetensors":
        with safe_open(path, framework="pt") as file:
            text = (file.metadata() or {}).get(_METADATA)
    try:
        config = json.loads(text) if text else {}
        return {name: _alphas_of(_with_prefix(config, f"{name}.")) for name in _OLD_LAYERS}
    except (ArithmeticError, AttributeError, RecursionError, TypeError, ValueError) as error:
        raise ModelUnsupported(
            f"{path.name}: its adapter metadata cannot be read", hint=str(error)[:200]
        ) from error


def _alphas_of(config: Mapping[str, Any]) -> _Alphas:
    patterns = dict(config.get("alpha_pattern") or {})
    if strange := _not_plain(patterns):
        raise ValueError(f"alpha_pattern {strange!r} is no layer's name")
    alpha = config.get("lora_alpha")
    return _Alphas(
        alpha=None if alpha is None else float(alpha),
        patterns=tuple((pattern, float(value)) for pattern, value in patterns.items()),
        is_root=config.get("use_rslora") is True,
    )


def _not_plain(patterns: Iterable[str]) -> str | None:
    return next((pattern for pattern in patterns if not _PLAIN_PATTERN.fullmatch(pattern)), None)


def _with_prefix(config: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    return {key.removeprefix(prefix): value for key, value in config.items() if key.startswith(prefix)}
