"""The layout of a diffusers folder: which classes it may name, which files hold its weights."""

import json
import re
import reprlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from retouch.errors import ModelNotFound, ModelUnsafe, ModelUnsupported
from retouch.models.schemas import SCHEMAS

MAX_CONFIG_BYTES = 4 * 2**20
# A library would apply it to the weights, silently: what is loaded would not be what is hashed.
_ADAPTER = "adapter_config.json"

PIPELINES = frozenset(
    {"StableDiffusionInpaintPipeline", "StableDiffusionPipeline", "StableDiffusionImg2ImgPipeline"}
)
# Component -> library and classes that its entry in model_index.json may name.
ALLOWED: dict[str, tuple[str, frozenset[str]]] = {
    "unet": ("diffusers", frozenset({"UNet2DConditionModel"})),
    "vae": ("diffusers", frozenset(SCHEMAS["vae"])),
    "text_encoder": ("transformers", frozenset({"CLIPTextModel"})),
    "tokenizer": ("transformers", frozenset({"CLIPTokenizer", "CLIPTokenizerFast"})),
    "safety_checker": ("stable_diffusion", frozenset({"StableDiffusionSafetyChecker"})),
    "feature_extractor": (
        "transformers",
        frozenset(
            {"CLIPImageProcessor", "CLIPImageProcessorPil", "CLIPImageProcessorFast", "CLIPFeatureExtractor"}
        ),
    ),
}
REQUIRED = ("unet", "vae", "text_encoder", "tokenizer")
WEIGHTED = {
    "unet": ("diffusion_pytorch_model", "diffusion_pytorch_model"),
    "vae": ("diffusion_pytorch_model", "diffusion_pytorch_model"),
    "text_encoder": ("model", "pytorch_model"),
    "safety_checker": ("model", "pytorch_model"),
}  # component -> stem of its safetensors file, stem of its pickle
_SCHEDULER_NAME = re.compile(r"[A-Z][A-Za-z0-9]*Scheduler")
_SHARD_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True, slots=True)
class Weights:
    """The weight files of one component: one file or several shards, in one variant."""

    files: tuple[Path, ...]
    variant: str | None
    is_pickle: bool


def read_json(path: Path, *, most_bytes: int = MAX_CONFIG_BYTES) -> dict[str, Any]:
    """Read a config file.

    Raises:
        ModelNotFound: it is not there.
        ModelUnsafe: it is too big, or no JSON object, or names code to run (`auto_map`).
    """
    if not path.is_file():
        raise ModelNotFound(f"{path.parent.name}/{path.name} is missing", hint=f"looked in {path.parent}")
    if path.stat().st_size > most_bytes:
        raise ModelUnsafe(f"{path.parent.name}/{path.name} is larger than any config")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ModelUnsafe(f"{path.parent.name}/{path.name} is not JSON") from error
    if not isinstance(content, dict):
        raise ModelUnsafe(f"{path.parent.name}/{path.name} is not a JSON object")
    if "auto_map" in content:
        raise ModelUnsafe(
            f"{path.parent.name}/{path.name} asks to run code of its own", hint="retouch never runs a model's code"
        )
    return content


def components_of(folder: Path) -> frozenset[str]:
    """Return the components that a folder's `model_index.json` lists, all of them of classes that we allow.

    Raises:
        ModelNotFound: the index or a component that every checkpoint needs is missing.
        ModelUnsafe: the index or the folder brings code of its own.
        ModelUnsupported: the pipeline or a component is of another family.
    """
    if folder.is_dir() and not (folder / "model_index.json").is_file():
        raise ModelNotFound(
            f"the folder {str(folder)!r} holds no checkpoint: model_index.json is missing",
            hint="name the folder that holds it, or the checkpoint's .safetensors file",
        )
    index = read_json(folder / "model_index.json")
    name = index.get("_class_name")
    if not isinstance(name, str):
        raise ModelUnsafe("model_index.json names a custom pipeline", hint="retouch never runs a model's code")
    if name not in PIPELINES:
        raise ModelUnsupported(
            f"the checkpoint is for {reprlib.repr(name)}",
            hint="retouch runs Stable Diffusion 1.x and 2.x checkpoints",
        )
    _refuse_code(folder)
    present = {key for key, entry in index.items() if isinstance(entry, list) and any(entry)}
    for component in present - {"scheduler"}:
        _check_class(component, index[component])
    if "scheduler" in present:
        _check_scheduler(index["scheduler"])
    missing = [component for component in (*REQUIRED, "scheduler") if component not in present]
    if missing:
        raise ModelNotFound(f"model_index.json lists no {', '.join(missing)}", hint=f"looked in {folder}")
    return frozenset(present)


def weights_of(folder: Path, components: Collection[str], variant: str | None) -> dict[str, Weights]:
    """Choose the weight files of all components that have some. They are what is checked, hashed and loaded.

    Raises:
        ModelNotFound, ModelUnsafe: as `find_weights`.
    """
    return {name: find_weights(folder, name, variant) for name in WEIGHTED if name in components}


def named_files(weights: Mapping[str, Weights]) -> dict[str, Path]:
    """Return the chosen files under the names by which they enter a checkpoint's hash."""
    return {f"{component}/{file.name}": file for component, found in weights.items() for file in found.files}


def find_weights(folder: Path, component: str, variant: str | None) -> Weights:
    """Choose the weight files of a component: the variant asked for, else the plain one, else fp16, else a pickle.

    Raises:
        ModelNotFound: there are none, or a shard is missing; the message lists what was looked for.
        ModelUnsafe: the list of shards names files outside the component's folder, or the folder holds what
            another loader would take instead or add.
    """
    safe, pickle = WEIGHTED[component]
    home = folder / component
    looked_for = []
    if (home / _ADAPTER).exists():
        raise ModelUnsafe(
            f"{component} holds an adapter beside its weights: {_ADAPTER}",
            hint="remove it; give a LoRA with --lora, which results record",
        )
    for stem, suffix in ((safe, "safetensors"), (pickle, "bin")):
        for wanted in dict.fromkeys((variant, None, "fp16")):
            tag = f".{wanted}" if wanted else ""
            single = home / f"{stem}{tag}.{suffix}"
            looked_for.append(single.name)
            index = home / f"{stem}.{suffix}.index{tag}.json"
            if single.is_file() and index.exists():
                raise ModelUnsafe(
                    f"{component} holds both {single.name} and {index.name}, and loaders differ in what they take",
                    hint="remove one of them",
                )
            if single.is_file():
                return Weights((single,), wanted, suffix == "bin")
            if index.is_file():
                return Weights(_shards(index), wanted, suffix == "bin")
    raise ModelNotFound(
        f"{component} has no weights in {home}",
        hint=f"looked for {', '.join(looked_for)}; `retouch models download` fetches whole checkpoints",
    )


def _shards(index: Path) -> tuple[Path, ...]:
    weight_map = read_json(index).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise ModelUnsafe(f"{index.name} lists no shards")
    names = sorted(set(map(str, weight_map.values())))
    if not all(_SHARD_NAME.fullmatch(name) for name in names):
        raise ModelUnsafe(f"{index.name} names files outside its folder")
    files = tuple(index.parent / name for name in names)
    missing = [file.name for file in files if not file.is_file()]
    if missing:
        shown = ", ".join(missing[:5])
        raise ModelNotFound(f"{index.parent.name} lacks shards: {shown}", hint="download it again")
    return files


def _check_class(component: str, entry: list[Any]) -> None:
    if component not in ALLOWED:
        raise ModelUnsupported(
            f"the checkpoint brings a component that retouch does not know: {reprlib.repr(component)}"
        )
    library, classes = ALLOWED[component]
    if len(entry) != 2 or entry[0] != library:
        raise ModelUnsafe(f"{component} comes from {reprlib.repr(entry[0])}, not from {library}")
    if not (isinstance(entry[1], str) and entry[1] in classes):
        raise ModelUnsupported(
            f"{component} is a {reprlib.repr(entry[1])}", hint=f"known: {', '.join(sorted(classes))}"
        )


def _check_scheduler(entry: list[Any]) -> None:
    if len(entry) != 2 or entry[0] != "diffusers":
        raise ModelUnsafe(f"the scheduler comes from {reprlib.repr(entry[0])}, not from diffusers")
    check_scheduler_name(entry[1])


def check_scheduler_name(name: object) -> None:
    """Take names that a scheduler can have: they are looked up in diffusers, which holds much else.

    Raises:
        ModelUnsupported: it is another name, or none.
    """
    if not (isinstance(name, str) and _SCHEDULER_NAME.fullmatch(name)):
        raise ModelUnsupported(
            f"the scheduler is a {reprlib.repr(name)}", hint="expected a class of diffusers, such as DDIMScheduler"
        )


def _refuse_code(folder: Path) -> None:
    for home in (folder, *(folder / component for component in (*ALLOWED, "scheduler"))):
        for path in sorted(home.glob("*.py")) if home.is_dir() else ():
            raise ModelUnsafe(
                f"the folder holds Python code: {path.relative_to(folder)}",
                hint="a checkpoint needs none; remove it if you know where it comes from",
            )
