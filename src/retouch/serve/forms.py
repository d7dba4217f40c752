"""Forms, as browsers and SDKs send them: multipart and urlencoded, from bytes that are there already.

Names of files are never read, types that a client claims are never believed; what a part holds is bytes.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from retouch.errors import BodyTooLarge, InvalidField, MalformedBody, UnsupportedMedia
from retouch.foreign import foreign_as

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks


@dataclass(frozen=True, slots=True)
class FormLimits:
    """What a form may be at most.

    Attributes:
        files: parts with a file name, or of a picture's type.
        fields: other parts.
        file_bytes: one file.
        field_bytes: one other part; in a urlencoded form all of them together.
        header_bytes: one header line of a part.
        headers: header lines of a part.
    """

    files: int = 20
    fields: int = 100
    file_bytes: int = 16 * 2**20
    field_bytes: int = 64 * 2**10
    header_bytes: int = 1_024
    headers: int = 8


DEFAULT_FORM_LIMITS = FormLimits()


@dataclass(frozen=True, slots=True)
class Part:
    """One entry of a form."""

    name: str
    data: bytes = field(repr=False)
    is_file: bool = False


@dataclass(frozen=True, slots=True)
class Form:
    """The entries of a form, in the order they came in."""

    parts: tuple[Part, ...]

    @property
    def names(self) -> frozenset[str]:
        return frozenset(part.name for part in self.parts)

    def text(self, name: str) -> str | None:
        """Return the text of a field; None where there is none.

        Raises:
            InvalidField: it is there twice, is a file, or is no UTF-8.
        """
        part = self._single(name)
        if part is None:
            return None
        if part.is_file:
            raise InvalidField(name, "is a file", hint="send it as a text field")
        try:
            return part.data.decode("utf-8")
        except UnicodeDecodeError as error:
            raise InvalidField(name, "is not UTF-8") from error

    def content(self, name: str) -> bytes | None:
        """Return what a part holds, be it sent as a file or not; None where there is none.

        Raises:
            InvalidField: it is there twice.
        """
        part = self._single(name)
        return None if part is None else part.data

    def every(self, *names: str) -> list[Part]:
        """Return every part of these names, in order: `every("image", "image[]")`."""
        return [part for part in self.parts if part.name in names]

    def _single(self, name: str) -> Part | None:
        found = self.every(name)
        if len(found) > 1:
            raise InvalidField(name, "is there more than once")
        return found[0] if found else None


def parse_form(content_type: str, body: bytes, *, limits: FormLimits = DEFAULT_FORM_LIMITS) -> Form:
    """Parse a form.

    Args:
        content_type: the request's header of that name.
        body: the whole body.

    Raises:
        UnsupportedMedia: it is no form.
        MalformedBody: it does not follow its own type.
        BodyTooLarge: it is over a limit of sizes or counts.
    """
    from python_multipart.multipart import parse_options_header

    with foreign_as(MalformedBody("the type of the body cannot be read")):
        kind, options = parse_options_header(content_type)
    if kind == b"multipart/form-data":
        return _parse_multipart(options.get(b"boundary", b""), body, limits)
    if kind == b"application/x-www-form-urlencoded":
        return _parse_urlencoded(body, limits)
    raise UnsupportedMedia("the body is not a form", hint="send multipart/form-data")


def _parse_urlencoded(body: bytes, limits: FormLimits) -> Form:
    if len(body) > limits.field_bytes:
        raise BodyTooLarge(f"the form is over {limits.field_bytes} bytes", hint="send multipart/form-data")
    if body.count(b"&") >= limits.fields:
        raise _too_many(limits)
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, errors="strict")
    except (UnicodeDecodeError, ValueError) as error:
        raise MalformedBody("the form is not urlencoded UTF-8") from error
    return Form(tuple(Part(name, value.encode()) for name, value in pairs))


def _parse_multipart(boundary: bytes, body: bytes, limits: FormLimits) -> Form:
    from python_multipart.multipart import MultipartParser

    if not boundary:
        raise MalformedBody("the form does not say what its boundary is")
    # In whole forms a boundary only parts: many mean many parts, or a text made to keep the parser busy.
    if body.count(b"\n--" + boundary) > limits.files + limits.fields + 1:
        raise _too_many(limits)
    gathered = _Gathered(limits)
    with foreign_as(MalformedBody("the form is broken, or a part has headers that are too long or too many")):
        parser = MultipartParser(
            boundary, gathered.callbacks(), max_header_count=limits.headers, max_header_size=limits.header_bytes
        )
        parser.write(body)
    if not gathered.is_ended:
        raise MalformedBody("the form ends before its last boundary")
    return Form(tuple(gathered.parts))


class _Gathered:
    """What the parser has found so far; its methods are the parser's callbacks, in the parser's order."""

    def __init__(self, limits: FormLimits) -> None:
        self.limits = limits
        self.parts: list[Part] = []
        self.is_ended = False
        self._begin()

    def callbacks(self) -> "MultipartCallbacks":
        return {
            "on_part_begin": self._begin,
            "on_header_field": _adder(lambda: self._header_name),
            "on_header_value": _adder(lambda: self._header_value),
            "on_header_end": self._end_header,
            "on_headers_finished": self._check_headers,
            "on_part_data": self._add_data,
            "on_part_end": self._end_part,
            "on_end": self._end,
        }

    def _begin(self) -> None:
        self._header_name, self._header_value, self._data = bytearray(), bytearray(), bytearray()
        self._name: str | None = None
        self._is_file = False
        self._most_bytes = 0

    def _end_header(self) -> None:
        from python_multipart.multipart import parse_options_header

        name, value = bytes(self._header_name).lower(), bytes(self._header_value)
        self._header_name, self._header_value = bytearray(), bytearray()
        if name == b"content-disposition":
            _, options = parse_options_header(value)
            self._is_file |= b"filename" in options or b"filename*" in value
            self._name = options.get(b"name", b"").decode("utf-8")
        elif name == b"content-type":
            self._is_file |= value.lower().startswith((b"image/", b"application/octet-stream"))
        elif name == b"content-transfer-encoding" and value.lower() not in (b"binary", b"7bit", b"8bit"):
            raise MalformedBody("a part of the form is encoded", hint="send its bytes as they are")

    def _check_headers(self) -> None:
        if not self._name:
            raise MalformedBody("a part of the form has no name")
        limits = self.limits
        self._most_bytes = limits.file_bytes if self._is_file else limits.field_bytes
        alike = sum(part.is_file == self._is_file for part in self.parts)
        if alike >= (limits.files if self._is_file else limits.fields):
            raise _too_many(limits)

    def _add_data(self, data: bytes, start: int, end: int) -> None:
        if len(self._data) + end - start > self._most_bytes:
            raise BodyTooLarge(f"a part of the form is over {self._most_bytes} bytes")
        self._data += memoryview(data)[start:end]

    def _end_part(self) -> None:
        assert self._name is not None
        self.parts.append(Part(self._name, bytes(self._data), self._is_file))

    def _end(self) -> None:
        self.is_ended = True


def _adder(target: Callable[[], bytearray]) -> Callable[[bytes, int, int], None]:
    def add(data: bytes, start: int, end: int) -> None:
        target().extend(memoryview(data)[start:end])

    return add


def _too_many(limits: FormLimits) -> BodyTooLarge:
    return BodyTooLarge(f"the form has more than {limits.files} files or {limits.fields} fields")
