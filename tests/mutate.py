"""Broken copies of whole files: the same ones for the same numbers, on every machine."""

import random
import struct
import zlib
from collections.abc import Callable, Sequence

_NUMBERS = (0, 1, 2, 7, 8, 0x7F, 0x80, 0xFF, 0x100, 0x7FFF, 0x8000, 0xFFFF, 0x10000, 0x7FFFFFFF, 0xFFFFFFFF, 2**63)


def mutated(seeds: Sequence[bytes], number: int, *, name: str, repair: Callable[[bytes], bytes] = bytes) -> bytes:
    """Return the `number`-th broken copy of some files.

    Args:
        seeds: whole files, of which one is broken, now and then with parts of another.
        number: of the case.
        name: of the run; other names give other cases.
        repair: makes checksums right again, so that a change gets past them; done for most cases.
    """
    rng = random.Random(f"{name} {number}")
    data = bytearray(rng.choice(seeds))
    for _ in range(rng.choice((1, 1, 1, 2, 3, 6))):
        rng.choice(_CHANGES)(data, rng, seeds)
        data = data or bytearray(b"\0")
    return repair(bytes(data)) if rng.random() < 0.8 else bytes(data)


def repair_png(data: bytes) -> bytes:
    """Make the checksums of PNG chunks right."""
    fixed, position = bytearray(data), 8
    while position + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, position)
        end = position + 8 + length
        if end + 4 > len(data):
            break
        struct.pack_into(">I", fixed, end, zlib.crc32(data[position + 4 : end]))
        position = end + 4
    return bytes(fixed)


def _place(data: bytearray, rng: random.Random) -> int:
    """Pick a place, more often near the front, where headers are."""
    return min(int(len(data) * rng.random() ** rng.choice((1, 3))), len(data) - 1)


def _flip(data: bytearray, rng: random.Random, _: Sequence[bytes]) -> None:
    data[_place(data, rng)] ^= 1 << rng.randrange(8)


def _write_number(data: bytearray, rng: random.Random, _: Sequence[bytes]) -> None:
    size = rng.choice((1, 2, 4, 8))
    place = _place(data, rng)
    value = rng.choice((rng.choice(_NUMBERS), rng.getrandbits(8 * size))) % 2 ** (8 * size)
    data[place : place + size] = value.to_bytes(size, rng.choice(("big", "little")))


def _cut(data: bytearray, rng: random.Random, _: Sequence[bytes]) -> None:
    del data[_place(data, rng) :]


def _remove(data: bytearray, rng: random.Random, _: Sequence[bytes]) -> None:
    place = _place(data, rng)
    del data[place : place + rng.choice((1, 2, 4, 12, 64))]


def _repeat(data: bytearray, rng: random.Random, _: Sequence[bytes]) -> None:
    place = _place(data, rng)
    part = data[place : place + rng.choice((1, 4, 12, 40, 512))]
    data[place:place] = part * rng.choice((1, 1, 2, 100))


def _splice(data: bytearray, rng: random.Random, seeds: Sequence[bytes]) -> None:
    other = rng.choice(seeds)
    place, start = _place(data, rng), rng.randrange(len(other))
    size = rng.choice((4, 12, 64, 512))
    data[place : place + size] = other[start : start + size]


def _scramble(data: bytearray, rng: random.Random, _: Sequence[bytes]) -> None:
    place = _place(data, rng)
    size = min(rng.choice((4, 16, 64)), len(data) - place)
    data[place : place + size] = rng.randbytes(size)


_CHANGES = (_flip, _flip, _write_number, _write_number, _cut, _remove, _repeat, _splice, _scramble)
