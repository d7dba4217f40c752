"""The fields of an OpenAI image edit, read into a request of ours."""

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from retouch.errors import InvalidField, NotFound
from retouch.imaging.choices import FileFormat
from retouch.imaging.decode import decode_picture
from retouch.imaging.encode import MEDIA_TYPES
from retouch.imaging.picture import Picture
from retouch.request import DEFAULT_NUM_INFERENCE_STEPS, InpaintRequest
from retouch.serve.forms import Form
from retouch.serve.service import Service

_FORMATS: Mapping[str, FileFormat] = {"png": "PNG", "jpeg": "JPEG", "webp": "WEBP"}
_SHARE_OF_STEPS = {"low": 0.5, "medium": 1.0, "standard": 1.0, "auto": 1.0, "high": 2.0, "xhigh": 2.0, "max": 2.0}
"""`quality` is a hint about effort, and steps are the effort here."""
_THEIR_MODELS = ("gpt-image-", "chatgpt-image-", "dall-e-")
"""Clients that only changed their base URL name one of these: the model that is here stands for it."""
_MOST_PARTIAL_IMAGES = 3

_OWN: Mapping[str, Callable[[str], Any]] = {
    "negative_prompt": str,
    "prompt_syntax": str,
    "clip_skip": int,
    "num_inference_steps": int,
    "guidance_scale": float,
    "strength": float,
    "seed": int,
    "scheduler": str,
    "region": str,
    "padding_px": int,
    "grow_px": int,
    "feather_px": int,
    "seam": str,
}
"""Fields of a request that the contract does not have; clients send them in `extra_body`."""

_HARMLESS = frozenset({"user", "safety_identifier", "input_fidelity", "moderation", "complexity"})
"""Fields that change nothing here: kept pixels are always exact, and every picture is checked."""

FIELDS: dict[str, Any] = {
    "image[]": {"type": "string", "format": "binary"},
    "image": {"type": "string", "format": "binary", "description": "The picture; a mask in its own alpha counts."},
    "mask": {"type": "string", "format": "binary", "description": "Transparent = repaint; of the picture's size."},
    "prompt": {"type": "string"},
    "model": {"type": "string"},
    "n": {"type": "integer", "minimum": 1},
    "size": {"type": "string", "description": "`auto`, or the picture's own size, which it keeps."},
    "quality": {"enum": sorted(_SHARE_OF_STEPS)},
    "background": {"enum": ["auto", "opaque"]},
    "output_format": {"enum": sorted(_FORMATS)},
    "output_compression": {"type": "integer", "minimum": 0, "maximum": 100},
    "response_format": {"enum": ["b64_json", "url"]},
    "stream": {"type": "boolean"},
    "partial_images": {"type": "integer", "minimum": 0, "maximum": _MOST_PARTIAL_IMAGES},
    **{name: {"type": {int: "integer", float: "number", str: "string"}[kind]} for name, kind in _OWN.items()},  # type: ignore[index]
}


@dataclass(frozen=True, slots=True)
class Edit:
    """What a client asked: the request, and how it wants the answer.

    Attributes:
        quality: of a lossy file, 1..100; None is the format's own.
        quality_name: as the client called it.
        is_url: a picture is told as a `data:` URL.
    """

    request: InpaintRequest
    format: FileFormat
    quality: int | None
    quality_name: str
    is_url: bool
    is_streamed: bool
    partial_images: int

    def shown(self, picture: bytes) -> dict[str, str]:
        """Return a picture as the client asked for it."""
        text = base64.b64encode(picture).decode()
        return {"url": f"data:{MEDIA_TYPES[self.format]};base64,{text}"} if self.is_url else {"b64_json": text}


def edit_of(form: Form, service: Service) -> Edit:
    """Read a form.

    Raises:
        InvalidField: a field is missing, wrong, unknown, or asks for what cannot be done here.
        NotFound: the model that is named is not here.
    """
    ask = _Asked(form)
    ask.refuse_unknown()
    _check_model(ask.text("model"), service)
    image = _sized(_one(form, "image"), ask.text("size"), service)
    ask.choice("background", ("auto", "opaque"))
    quality_name = ask.choice("quality", tuple(_SHARE_OF_STEPS), default="auto")
    own = {name: ask.number(name, kind) for name, kind in _OWN.items()}
    chosen = {name: value for name, value in own.items() if value is not None}
    chosen.setdefault("num_inference_steps", _steps(quality_name, service))
    format = _FORMATS[ask.choice("output_format", tuple(_FORMATS), default="png")]
    partial_images = ask.number("partial_images", int) or 0
    if not 0 <= partial_images <= _MOST_PARTIAL_IMAGES:
        raise InvalidField("partial_images", f"is {partial_images}, must be 0 to {_MOST_PARTIAL_IMAGES}")
    number = ask.number("n", int)
    request = InpaintRequest(
        prompt=ask.text("prompt", is_needed=True),
        image=image,
        mask_image=_one(form, "mask") if form.every("mask", "mask[]") else None,
        mask_polarity="transparent",
        num_images_per_prompt=1 if number is None else number,
        safety=service.settings.safety,
    )
    return Edit(
        request=request.with_fields(**chosen),
        format=format,
        quality=_compression(ask, format),
        quality_name=quality_name,
        is_url=ask.choice("response_format", ("b64_json", "url"), default="b64_json") == "url",
        is_streamed=ask.choice("stream", ("true", "false", "True", "False"), default="false").lower() == "true",
        partial_images=partial_images,
    )


@dataclass(frozen=True, slots=True)
class _Asked:
    """The texts of a form, each read once."""

    form: Form

    def refuse_unknown(self) -> None:
        for name in self.form.names - FIELDS.keys() - _HARMLESS:
            raise InvalidField(name, "is not a field of an edit", hint=f"known: {', '.join(FIELDS)}")

    def text(self, name: str, *, is_needed: bool = False) -> str:
        given = self.form.text(name)
        if is_needed and given is None:
            raise InvalidField(name, "is missing")
        return given or ""

    def choice(self, name: str, choices: tuple[str, ...], *, default: str = "") -> str:
        value = self.text(name) or default
        if value and value not in choices:
            raise InvalidField(name, f"is {value!r}", hint=f"one of: {', '.join(choices)}")
        return value

    def number(self, name: str, kind: Callable[[str], Any]) -> Any:
        value = self.text(name)
        try:
            return kind(value) if value else None
        except ValueError as error:
            raise InvalidField(name, f"must be a number, not {value[:40]!r}") from error


def _one(form: Form, name: str) -> bytes:
    given = form.every(name, f"{name}[]")
    if not given:
        raise InvalidField(name, "is missing", hint="send it as a file")
    if len(given) > 1:
        raise InvalidField(name, f"is given {len(given)} times", hint="one picture is repainted at a time")
    return given[0].data


def _check_model(name: str, service: Service) -> None:
    known = service.model_name
    if name and name != known and not name.startswith(_THEIR_MODELS):
        raise NotFound(f"there is no model {name!r}", hint=f"known: {known}")


def _sized(image: bytes, size: str, service: Service) -> bytes | Picture:
    """Return the picture; refuse another size than its own, for what is kept would not stay what it is."""
    if not size or size == "auto":
        return image
    picture = decode_picture(image, limits=service.limits)
    if size != f"{picture.width}x{picture.height}":
        own = f"{picture.width}x{picture.height}"
        raise InvalidField("size", f"is {size!r}, the picture is {own}", hint="it keeps its size: use auto")
    return picture


def _steps(quality: str, service: Service) -> int:
    advised = service.model.recommended.num_inference_steps or DEFAULT_NUM_INFERENCE_STEPS
    return max(1, min(service.limits.num_inference_steps, round(advised * _SHARE_OF_STEPS[quality])))


def _compression(ask: _Asked, format: FileFormat) -> int | None:
    given = ask.number("output_compression", int)
    if given is None:
        return None
    if not 0 <= given <= 100:
        raise InvalidField("output_compression", f"is {given}, must be 0 to 100")
    if format == "PNG" and given != 100:
        raise InvalidField("output_compression", "does not go with png", hint="use jpeg or webp")
    return max(1, int(given))
