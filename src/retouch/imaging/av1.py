"""The size that an AV1 decoder will allocate for a still picture, read from the very bytes that it is given.

A container may claim any size beside the stream; the stream's own sequence header decides. What could make the
decoder allocate anything else (a second frame, a frame of another size than its sequence) is refused, so that
the answer is exact. Source: AV1 bitstream and decoding process specification, sections 5.3, 5.5 and 5.9.
"""

from dataclasses import dataclass

from retouch.errors import ImageError, ImageFormatError

_SEQUENCE, _DELIMITER, _FRAME_HEADER, _TILES, _METADATA, _FRAME, _PADDING = 1, 2, 3, 4, 5, 6, 15
_MAX_UNITS = 4_096
_KEY_FRAME = 0
_CHOSEN_BY_FRAME = 2


@dataclass(frozen=True, slots=True)
class _Sequence:
    """What a sequence header says that a frame header's reading depends on."""

    width: int
    height: int
    is_reduced: bool
    time_bits: int
    id_bits: int
    screen_content: int
    integer_mv: int


class _Bits:
    """Reads numbers of any width from the front of a unit, the highest bit first."""

    def __init__(self, unit: bytes) -> None:
        head = unit[:512]  # no header that is read here comes near it
        self._value, self._left = int.from_bytes(head, "big"), 8 * len(head)

    def read(self, width: int) -> int:
        self._left -= width
        if self._left < 0:
            raise _broken()
        return self._value >> self._left & ((1 << width) - 1)

    def skip_uvlc(self) -> None:
        """Pass over a number that is written as so many zeros, a one, and as many bits."""
        zeros = 0
        while zeros < 32 and not self.read(1):
            zeros += 1
        self.read(0 if zeros == 32 else zeros)


def frame_size(stream: bytes) -> tuple[int, int]:
    """Return (width, height) of the only frame of a stream.

    Raises:
        ImageError: the stream is broken, or its frame is not one whole picture.
        ImageFormatError: it holds several frames or sizes, as layered pictures do.
    """
    sequence: _Sequence | None = None
    frames = 0
    for kind, unit in _units(stream):
        if kind == _SEQUENCE:
            found = _read_sequence(_Bits(unit))
            if sequence not in (None, found):
                raise _layered()
            sequence = found
        elif kind in (_FRAME, _FRAME_HEADER):
            frames += 1
            if sequence is None:
                raise _broken()
            _check_frame(_Bits(unit), sequence)
        elif kind not in (_DELIMITER, _TILES, _METADATA, _PADDING):
            raise _broken()
    if frames > 1:
        raise _layered()
    if sequence is None or not frames:
        raise _broken()
    return sequence.width, sequence.height


def _units(stream: bytes) -> list[tuple[int, bytes]]:
    """Split a stream into (kind, content)."""
    units: list[tuple[int, bytes]] = []
    position = 0
    while position < len(stream):
        head = stream[position]
        if head & 0x80 or len(units) == _MAX_UNITS:
            raise _broken()
        position += 2 if head & 0x04 else 1
        size = len(stream) - position
        if head & 0x02:
            size, position = _leb128(stream, position)
        if size < 0 or position + size > len(stream):
            raise _broken()
        units.append((head >> 3 & 0x0F, stream[position : position + size]))
        position += size
    return units


def _leb128(stream: bytes, position: int) -> tuple[int, int]:
    value = 0
    for index, byte in enumerate(stream[position : position + 8]):
        value |= (byte & 0x7F) << 7 * index
        if not byte & 0x80:
            return value, position + index + 1
    raise _broken()


def _read_sequence(bits: _Bits) -> _Sequence:
    bits.read(4)  # profile, still picture
    is_reduced = bool(bits.read(1))
    time_bits = 0
    if is_reduced:
        bits.read(5)
    else:
        time_bits = _skip_operation(bits)
    width_bits, height_bits = bits.read(4) + 1, bits.read(4) + 1
    width, height = bits.read(width_bits) + 1, bits.read(height_bits) + 1
    id_bits = 0
    if not is_reduced and bits.read(1):
        id_bits = bits.read(4) + 2 + bits.read(3) + 1
    bits.read(3)
    screen_content = integer_mv = _CHOSEN_BY_FRAME
    if not is_reduced:
        bits.read(4)
        if bits.read(1):
            bits.read(2)
        screen_content = _CHOSEN_BY_FRAME if bits.read(1) else bits.read(1)
        if screen_content:
            integer_mv = _CHOSEN_BY_FRAME if bits.read(1) else bits.read(1)
    return _Sequence(width, height, is_reduced, time_bits, id_bits, screen_content, integer_mv)


def _skip_operation(bits: _Bits) -> int:
    """Pass over timing and operating points; return the width of a frame's time, 0 where frames carry none."""
    delay_bits = time_bits = 0
    is_even = False
    if bits.read(1):
        bits.read(64)
        is_even = bool(bits.read(1))
        if is_even:
            bits.skip_uvlc()
        if bits.read(1):
            delay_bits = bits.read(5) + 1
            bits.read(37)
            time_bits = bits.read(5) + 1
    has_display_delay = bits.read(1)
    for _ in range(bits.read(5) + 1):
        bits.read(12)
        if bits.read(5) > 7:
            bits.read(1)
        if delay_bits and bits.read(1):
            bits.read(2 * delay_bits + 1)
        if has_display_delay and bits.read(1):
            bits.read(4)
    return 0 if is_even else time_bits


def _check_frame(bits: _Bits, sequence: _Sequence) -> None:
    """Refuse a frame that is not a shown key frame of its sequence's size."""
    if sequence.is_reduced:
        return  # nothing else can be said in this form
    if bits.read(1) or bits.read(2) != _KEY_FRAME or not bits.read(1):
        raise _broken()
    bits.read(sequence.time_bits + 1)
    is_screen = bits.read(1) if sequence.screen_content == _CHOSEN_BY_FRAME else sequence.screen_content
    if is_screen and sequence.integer_mv == _CHOSEN_BY_FRAME:
        bits.read(1)
    bits.read(sequence.id_bits)
    if bits.read(1):
        raise _layered()


def _broken() -> ImageError:
    return ImageError("the AVIF file's picture is broken or cut short", hint="save the picture again")


def _layered() -> ImageFormatError:
    return ImageFormatError(
        "AVIF pictures of several layers cannot be read", hint="save it as one layer, or as PNG"
    )
