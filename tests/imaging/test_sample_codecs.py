"""Codecs that keep 16 bits, and that notice when rows are missing."""

import contextlib
import gc
import struct
import sys
import tracemalloc
import zlib

import imagecodecs
import numpy as np
import pytest
from tests.imaging.builders import tiff_entries, tiff_file
from tests.imaging.hostile import IEND, idat, png_chunk, png_file

from retouch.errors import ImageError, ImageFormatError
from retouch.imaging.decode import decode_picture
from retouch.imaging.orientation import turn
from retouch.imaging.png_chunks import lean_png
from retouch.imaging.sample_codecs import decode_png

RNG = np.random.default_rng(0)


def _tiff16(samples: np.ndarray, *, photometric: int, extra: int | None = None, orientation: int = 1) -> bytes:
    """One uncompressed strip of (H, W, C) samples."""
    height, width, channels = samples.shape
    entries = [
        (256, 4, 1, width),
        (257, 4, 1, height),
        (258, 3, channels, 0),
        (259, 3, 1, 1),
        (262, 3, 1, photometric),
        (273, 4, 1, 0),
        (274, 3, 1, orientation),
        (277, 3, 1, channels),
        (278, 4, 1, height),
        (279, 4, 1, samples.nbytes),
    ]
    if extra is not None:
        entries.append((338, 3, 1, extra))
    behind = 8 + 2 + 12 * len(entries) + 4
    bits = struct.pack(f"<{channels}H", *[16] * channels)
    values = {258: behind if channels > 2 else int.from_bytes(bits, "little"), 273: behind + 16}
    entries = [(tag, kind, count, values.get(tag, value)) for tag, kind, count, value in entries]
    return tiff_file(entries, tail=bits.ljust(16, b"\0") + samples.tobytes())


@pytest.mark.parametrize(("channels", "extra"), [(1, None), (2, 2), (3, None), (4, 2)])
def test_tiff_of_16_bits_keeps_them(channels: int, extra: int | None) -> None:
    samples = RNG.integers(0, 65536, (7, 9, channels), dtype=np.uint16)
    picture = decode_picture(_tiff16(samples, photometric=1 if channels < 3 else 2, extra=extra))
    colours = samples[..., 0] if channels < 3 else samples[..., :3]
    assert picture.pixels.dtype == np.uint16
    assert np.array_equal(picture.pixels, colours)
    if extra is not None:
        assert np.array_equal(picture.alpha, samples[..., -1])


@pytest.mark.parametrize("orientation", range(1, 9))
def test_deep_tiff_is_turned_like_shallow_tiff(orientation: int) -> None:
    samples = RNG.integers(0, 256, (5, 8, 3)).astype(np.uint16) * 257
    deep = decode_picture(_tiff16(samples, photometric=2, orientation=orientation))
    assert np.array_equal(deep.pixels, turn(samples, orientation))


def test_white_is_zero_is_inverted() -> None:
    samples = RNG.integers(0, 65536, (3, 4, 1), dtype=np.uint16)
    assert np.array_equal(decode_picture(_tiff16(samples, photometric=0)).pixels, 65535 - samples[..., 0])


def test_premultiplied_tiff_is_divided_by_its_alpha() -> None:
    colours = RNG.integers(0, 65536, (6, 6, 3))
    alpha = np.full((6, 6, 1), 32768)
    premultiplied = np.concatenate((np.rint(colours * alpha / 65535), alpha), axis=2).astype(np.uint16)
    picture = decode_picture(_tiff16(premultiplied, photometric=2, extra=1))
    assert np.abs(picture.pixels.astype(int) - colours).max() <= 2


def test_a_colour_model_that_is_not_known_to_keep_16_bits_is_refused() -> None:
    with pytest.raises(ImageFormatError):
        decode_picture(_tiff16(np.zeros((4, 4, 4), np.uint16), photometric=5))


def test_mixed_depths_are_refused() -> None:
    entries = [entry for entry in tiff_entries(4, 4) if entry[0] != 258] + [(258, 3, 2, 16 | 8 << 16)]
    with pytest.raises(ImageFormatError):
        decode_picture(tiff_file(sorted(entries), tail=bytes(64)))


def test_a_picture_of_another_size_than_its_header_says_is_an_error() -> None:
    png = lean_png(bytes(imagecodecs.png_encode(np.zeros((4, 6), np.uint16))))
    assert decode_png(png, 4, 6)[0].shape == (4, 6)
    with pytest.raises(ImageError):
        decode_png(png, 6, 4)


def test_broken_rows_take_no_reference_and_little_memory() -> None:
    data = png_file(idat(1_000, 900), IEND, width=1_000, height=1_000)

    def refuse(times: int) -> tuple[int, int]:
        for _ in range(times):
            with contextlib.suppress(ImageError):
                decode_picture(data)
        gc.collect()
        return sys.getrefcount(None), tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    references, held = refuse(5)
    references_after, held_after = refuse(100)
    tracemalloc.stop()
    assert references_after > references - 50  # one each, or the interpreter dies of some thousands
    assert held_after - held < 1_000_000


def test_interlaced_png_is_read() -> None:
    samples = RNG.integers(0, 256, (11, 13), dtype=np.uint8)
    passes = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))
    rows = b""
    for top, left, down, right in passes:
        part = samples[top::down, left::right]
        rows += b"".join(b"\0" + row.tobytes() for row in part if row.size)
    data = bytearray(png_file(png_chunk(b"IDAT", zlib.compress(rows)), IEND, width=13, height=11, colour_type=0))
    data[28] = 1
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    assert np.array_equal(decode_picture(bytes(data)).pixels, samples)
