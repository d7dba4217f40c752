"""Every field of A1111's `POST /sdapi/v1/img2img`, its default there, and what is done with it here.

Source: the AUTOMATIC1111 stable-diffusion-webui, modules api/models and processing. A field has one decision:
`honoured` means here what it means there; `ignored` changes no picture here; `warned` would have changed the
picture a little, and `info` says that it did not; `refused` asks for another picture, and gets an error.
"""

import math
import re
import reprlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from retouch.errors import InvalidField

Decision = Literal["honoured", "ignored", "warned", "refused"]
Kind = Literal["integer", "number", "boolean", "string", "array", "object"]
Asks = Callable[[Any], bool]

_THEIRS: Mapping[str, str] = {
    "clip_skip": "override_settings.CLIP_stop_at_last_layers",
    "feather_px": "mask_blur",
    "guidance_scale": "cfg_scale",
    "image": "init_images",
    "mask_image": "mask",
    "mask_polarity": "inpainting_mask_invert",
    "num_inference_steps": "steps",
    "padding_px": "inpaint_full_res_padding",
    "region": "inpaint_full_res",
    "scheduler": "sampler_name",
    "strength": "denoising_strength",
}
_OURS = re.compile(rf"(^|`)({'|'.join(_THEIRS)})(=\w+)?(:|`)")

_MOST_NAMES = 5
"""Of fields that nobody knows, so many are told by name."""


def _is_positive(value: Any) -> bool:
    return bool(value > 0)


def _is_not(neutral: object) -> Asks:
    return lambda value: bool(value != neutral)


def _has_arguments(scripts: Mapping[str, Any]) -> bool:
    """Tell whether a script would do something: clients send the ones that they know, switched off."""
    return any(not isinstance(one, Mapping) or _is_on(one.get("args")) for one in scripts.values())


def _is_on(arguments: Any) -> bool:
    return any(arguments) if isinstance(arguments, list) else bool(arguments)


def _is_named(name: str) -> bool:
    return name.casefold() not in ("", "none")


@dataclass(frozen=True, slots=True)
class Field:
    """One field.

    Attributes:
        kind: of its values, as JSON Schema names it; `null` stands for the default in all of them.
        default: as in A1111.
        note: what becomes of it, or why not.
        asks: tells whether a value of a `warned` or `refused` field asks for something. Where more than the value
            decides, it is never true, and the code that knows warns in the words of the note.
    """

    name: str
    kind: Kind
    default: Any
    decision: Decision
    note: str
    asks: Asks = bool


def _never(_: Any) -> bool:
    return False


def _decided(decision: Decision, *rows: tuple[Any, ...]) -> Iterator[Field]:
    for name, kind, default, note, *asks in rows:
        yield Field(name, kind, default, decision, note, *asks)


_SAVED = "nothing is stored on the server"
_NO_VARIATION = "variation seeds are not offered"
_SAMPLER = "the samplers here take no such setting"

FIELDS = (
    *_decided(
        "honoured",
        ("init_images", "array", None, "one picture, base64 with or without a `data:` prefix"),
        ("mask", "string", None, "white is repainted; with an alpha channel that varies, what is opaque"),
        ("inpainting_mask_invert", "integer", 0, "1 repaints the rest"),
        ("prompt", "string", "", "A1111's syntax: weights, `[word]`, `BREAK`, more than 77 tokens"),
        ("negative_prompt", "string", "", "as `prompt`"),
        ("steps", "integer", 50, ""),
        ("cfg_scale", "number", 7.0, "at 1 and below, guidance is off"),
        (
            "denoising_strength",
            "number",
            0.75,
            "share of the steps that is run; 0 asks no model (`inpainting_fill` 0)",
        ),
        ("seed", "integer", -1, "-1 draws one; picture i has seed + i; A1111 draws other noise from it"),
        ("sampler_name", "string", None, "`GET /sdapi/v1/samplers`, a schedule type behind it or not"),
        ("sampler_index", "string", "Euler", "where `sampler_name` is not given"),
        ("scheduler", "string", None, "`Automatic` is the one that A1111 takes for the sampler"),
        ("batch_size", "integer", 1, "times `n_iter`: the pictures, up to the server's limit"),
        ("n_iter", "integer", 1, "as `batch_size`"),
        ("inpainting_fill", "integer", 0, "0 fill, 1 original, 2 latent noise, 3 latent nothing"),
        ("inpaint_full_res", "boolean", True, "true: a crop around the mask; false: the whole picture"),
        ("inpaint_full_res_padding", "integer", 0, "pixels of context around the mask in the crop"),
        ("mask_blur", "integer", None, "in a crop, blends so many pixels inwards: no kept pixel changes"),
        ("mask_blur_x", "integer", 4, "as `mask_blur`; the larger of the two counts"),
        ("mask_blur_y", "integer", 4, "as `mask_blur_x`"),
        ("override_settings", "object", {}, "what changes nothing, and the layers of CLIP"),
        ("send_images", "boolean", True, ""),
        ("include_init_images", "boolean", False, "echoes `init_images` and `mask`"),
    ),
    *_decided(
        "warned",
        ("width", "integer", 512, "the picture keeps its own size", _never),
        ("height", "integer", 512, "as `width`", _never),
        ("resize_mode", "integer", 0, "the picture keeps its own size", _never),
        ("mask_round", "boolean", True, "masks are on or off, from the middle up", _is_not(True)),
        ("eta", "number", None, "each sampler has its own: 1 where it draws noise, else 0", _never),
        ("s_churn", "number", None, _SAMPLER),
        ("s_noise", "number", None, _SAMPLER, _is_not(1)),
        ("s_min_uncond", "number", None, "guidance holds for all steps"),
        ("initial_noise_multiplier", "number", None, "the noise is what the model learnt", _is_not(1)),
        ("save_images", "boolean", False, _SAVED),
    ),
    *_decided(
        "refused",
        ("styles", "array", None, "there are no styles here: write their words into the prompt"),
        ("subseed_strength", "number", 0, _NO_VARIATION),
        ("seed_resize_from_h", "integer", -1, _NO_VARIATION, _is_positive),
        ("seed_resize_from_w", "integer", -1, _NO_VARIATION, _is_positive),
        ("restore_faces", "boolean", None, "faces are not restored"),
        ("tiling", "boolean", None, "pictures that tile are not offered"),
        ("latent_mask", "string", None, "there is one mask"),
        ("refiner_checkpoint", "string", None, "there is one checkpoint", _is_named),
        ("script_name", "string", None, "there are no scripts here", _is_named),
        ("alwayson_scripts", "object", {}, "there are no scripts here", _has_arguments),
        ("infotext", "string", None, "send the fields themselves"),
    ),
    *_decided(
        "ignored",
        ("subseed", "integer", -1, "counts only with `subseed_strength`"),
        ("s_tmin", "number", None, "counts only with `s_churn`"),
        ("s_tmax", "number", None, "counts only with `s_churn`"),
        ("image_cfg_scale", "number", None, "is for models that take instructions"),
        ("refiner_switch_at", "number", None, "counts only with `refiner_checkpoint`"),
        ("script_args", "array", [], "counts only with `script_name`"),
        ("disable_extra_networks", "boolean", False, "prompts load none"),
        ("override_settings_restore_afterwards", "boolean", True, "no request changes another"),
        ("do_not_save_samples", "boolean", False, _SAVED),
        ("do_not_save_grid", "boolean", False, _SAVED),
        ("force_task_id", "string", None, "there are no tasks to look up"),
        ("comments", "object", None, ""),
    ),
)
BY_NAME: Mapping[str, Field] = {field.name: field for field in FIELDS}


def read_fields(body: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return every field's value, and what a person should know of those that have no effect.

    Raises:
        InvalidField: a value is of another kind, or asks for what is refused.
    """
    values = {}
    warnings = []
    for field in FIELDS:
        value = body.get(field.name)
        values[field.name] = field.default if value is None else value
        if value is None or field.decision == "ignored":
            continue
        values[field.name] = value = _of_kind(field, value)
        if field.decision in ("warned", "refused") and field.asks(value):
            if field.decision == "refused":
                raise InvalidField(field.name, field.note)
            warnings.append(f"{field.name}: {field.note}")
    if unknown := [name for name in body if name not in BY_NAME]:
        warnings.append(without_effect(unknown))
    return values, warnings


def without_effect(names: Iterable[str]) -> str:
    """Say that nobody here knows some names; there may be any number of them, of any length."""
    told = [reprlib.repr(name) for name in names]
    more = len(told) - _MOST_NAMES
    return f"not known here, without effect: {', '.join(told[:_MOST_NAMES])}" + (
        f" and {more} more" if more > 0 else ""
    )


def in_their_words(text: str) -> str:
    """Return a sentence with the fields of a request called by A1111's names: at its start, and in backticks."""
    return _OURS.sub(lambda found: f"{found[1]}{_THEIRS[found[2]]}{found[4]}", text)


def schema() -> dict[str, Any]:
    """Return the fields as JSON Schema, for the OpenAPI document."""
    properties = {
        field.name: {"type": [field.kind, "null"], "default": field.default, "description": _described(field)}
        for field in FIELDS
    }
    return {"type": "object", "properties": properties, "required": ["init_images", "mask"]}


def _described(field: Field) -> str:
    return f"{field.decision}: {field.note}" if field.note else field.decision


def _of_kind(field: Field, value: Any) -> Any:
    """Return a value as A1111's own reader would: `"20"` and `20.0` are whole numbers, 1 is true."""
    read, words = _READERS[field.kind]
    try:
        return read(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise InvalidField(field.name, f"must be {words}, not {reprlib.repr(value)}") from error


def _integer(value: Any) -> int:
    if isinstance(value, str) and len(value) <= _MOST_DIGITS:
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or value != int(value):
        raise TypeError
    return int(value)


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise TypeError
    number = float(value)
    if not math.isfinite(number):
        raise ValueError
    return number


def _boolean(value: Any) -> bool:
    if value not in (0, 1):
        raise TypeError
    return bool(value)


def _exactly(kind: type) -> Callable[[Any], Any]:
    def read(value: Any) -> Any:
        if not isinstance(value, kind):
            raise TypeError
        return value

    return read


_MOST_DIGITS = 20
_READERS: Mapping[Kind, tuple[Callable[[Any], Any], str]] = {
    "integer": (_integer, "a whole number"),
    "number": (_number, "a finite number"),
    "boolean": (_boolean, "true or false"),
    "string": (_exactly(str), "text"),
    "array": (_exactly(list), "a list"),
    "object": (_exactly(dict), "an object"),
}
