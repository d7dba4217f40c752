"""From a row's cells, and the parameters beside its table, to a request.

White pixels of a mask are repainted. A parameter is any field of a request but its prompt and pictures, or the
size, which an answer shares with its picture; a list of them gives each row its own, and so does a column.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, get_args

from retouch.equivalents import equivalent
from retouch.errors import InvalidField
from retouch.imaging.decode import decode_picture
from retouch.request import InpaintRequest, Limits, SafetyPolicy, validate
from retouch.serve.dialects.tables import Cells, shown

PICTURES = ("image", "mask_image")
_REQUIRED = ("prompt", *PICTURES)
_SIZE = ("height", "width")
_COUNT = "num_images_per_prompt"
_TYPES = {one.name: {one.type, *get_args(one.type)} for one in fields(InpaintRequest)}
_PARAMETERS = (*(name for name in _TYPES if name not in _REQUIRED), *_SIZE)
_WHOLE = {name for name, types in _TYPES.items() if int in types}.union(_SIZE)
_NUMBERS = {name for name, types in _TYPES.items() if float in types} | _WHOLE
_NUMBER = re.compile(r"-?[0-9]{1,12}(?P<fraction>\.[0-9]{1,12})?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Asked:
    """What a row asks for, its pictures still as they were sent.

    Attributes:
        request: complete but for its pictures, and valid.
        pictures: what was sent for `image` and `mask_image`.
        size: `height` and `width`, as far as they were asked for.
    """

    request: InpaintRequest
    pictures: Mapping[str, str] = field(repr=False)
    size: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class RowReader:
    """Reads the rows of one table.

    Attributes:
        parameters: for all rows; they come before a row's own cells, as in Azure's container.
        rows: how many there are.
        safety: the policy where none is asked for.
        limits: of one request.
    """

    parameters: Mapping[str, Any]
    rows: int
    safety: SafetyPolicy
    limits: Limits

    def __post_init__(self) -> None:
        """Refuse what is no parameter: left out in silence, it would make another picture than was asked for."""
        for name in self.parameters:
            if name in _REQUIRED:
                raise InvalidField(name, "is no parameter", hint="it is a column of the table")
            if name not in _PARAMETERS:
                hints = [equivalent(name, _PARAMETERS), f"known: {', '.join(sorted(_PARAMETERS))}"]
                raise InvalidField(shown(name), "is no parameter here", hint="; ".join(filter(None, hints)))

    def read(self, cells: Cells, at: int) -> Asked:
        """Read the row at a place; columns that mean nothing here are left out, as MLflow does.

        Raises:
            InvalidField: a cell is missing, or it or a parameter is out of its range.
        """
        for name in _REQUIRED:
            if name not in cells:
                has = ", ".join(map(shown, list(cells)[:8])) or "no cell"
                raise InvalidField(name, "is missing", hint=f"a row needs {', '.join(_REQUIRED)}; it has {has}")
        for name in PICTURES:
            if not isinstance(cells[name], str):
                raise InvalidField(name, "must be text", hint="the picture in base64")
        given = {name: self._value(name, cells, at) for name in _PARAMETERS}
        asked = {name: value for name, value in given.items() if value is not None}
        size = {name: asked.pop(name) for name in _SIZE if name in asked}
        request = InpaintRequest(prompt=cells["prompt"], image=b"", mask_image=b"", safety=self.safety)
        request = replace(request, **asked)
        validate(request, self.limits)
        return Asked(request, {name: cells[name] for name in PICTURES}, size)

    def count(self, cells: Cells, at: int) -> int:
        """Return how many pictures a row asks for; 1 where that itself is wrong."""
        try:
            count = self._value(_COUNT, cells, at)
        except InvalidField:
            return 1
        return count if isinstance(count, int) and 1 <= count <= self.limits.num_images_per_prompt else 1

    def _value(self, name: str, cells: Cells, at: int) -> Any:
        """Return what a row has for a parameter; None where it has nothing."""
        value = self.parameters.get(name)
        if isinstance(value, list):
            if len(value) not in (1, self.rows):
                wrong = f"is a list of {len(value)} for {self.rows} rows"
                raise InvalidField(name, wrong, hint="one for each row, or one for all")
            value = value[at % len(value)]
        value = cells.get(name) if value is None else value
        return None if value is None else self._typed(name, value)

    def _typed(self, name: str, value: Any) -> Any:
        """Return a value as its field's type where it is spelled as another: "7" and 7.0 are 7."""
        if isinstance(value, list | dict):
            raise InvalidField(name, "must be a single value")
        if isinstance(value, str) and len(value) > self.limits.prompt_chars:
            most = self.limits.prompt_chars
            raise InvalidField(name, f"has {len(value)} characters, at most {most} are allowed")
        if isinstance(value, str) and name in _NUMBERS and (number := _NUMBER.fullmatch(value.strip())):
            value = float(value) if number["fraction"] else int(value)
        if isinstance(value, float) and name in _WHOLE and value.is_integer():
            return int(value)
        return value


def parameter_types() -> dict[str, type]:
    """Return the type in which each parameter is written: bool, int, float or str."""
    plain = {bool, int, float}
    types = {name: next(iter(plain & _TYPES[name]), str) for name in _PARAMETERS if name not in _SIZE}
    return types | dict.fromkeys(_SIZE, int)


def merged(*given: Mapping[str, Any]) -> dict[str, Any]:
    """Put parameters together that may stand in several places.

    Raises:
        InvalidField: two of them contradict each other.
    """
    together: dict[str, Any] = {}
    for parameters in given:
        for name, value in parameters.items():
            if name in together and together[name] != value:
                raise InvalidField(shown(name), "is given twice, with different values")
            together[name] = value
    return together


def with_pictures(asked: Asked, pictures: Mapping[str, bytes], limits: Limits) -> InpaintRequest:
    """Complete a request, and compare its picture's size with the one that was asked for.

    Raises:
        InvalidField: the sizes differ.
        ImageError: there is no picture to compare with.
    """
    request = replace(asked.request, image=pictures["image"], mask_image=pictures["mask_image"])
    if not asked.size:
        return request
    picture = decode_picture(pictures["image"], limits=limits)
    for name, has in (("height", picture.height), ("width", picture.width)):
        if asked.size.get(name, has) != has:
            hint = "an answer has the size of its picture, pixel for pixel: leave it out, or scale the picture"
            raise InvalidField(name, f"is {asked.size[name]}, and the picture's is {has}", hint=hint)
    return replace(request, image=picture)
