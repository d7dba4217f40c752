"""What a deployer's settings say about one request and about its result, whoever serves them."""

from dataclasses import replace

from retouch.errors import InvalidField
from retouch.request import InpaintRequest, validate
from retouch.result import InpaintResult
from retouch.serve.settings import ServeSettings


def check_request(request: InpaintRequest, settings: ServeSettings) -> None:
    """Check what can be told without pictures or a model: the limits, and what the deployer allows.

    Raises:
        InvalidField: a field is outside.
    """
    validate(request, settings.limits())
    if request.safety == "off" and not (settings.allow_safety_off or settings.safety == "off"):
        raise InvalidField("safety", "cannot be off here", hint="one of: black, blur, error")


def fit_to_send(result: InpaintResult, settings: ServeSettings) -> InpaintResult:
    """Return a result without its pictures' EXIF, unless the deployer keeps it."""
    if settings.keep_metadata:
        return result
    fills = [replace(fill, picture=replace(fill.picture, exif=None)) for fill in result.fills]
    return replace(result, fills=tuple(fills))
