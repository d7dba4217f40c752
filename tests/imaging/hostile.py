"""Broken and hostile picture files, built here byte by byte, for every door that takes pictures."""

import io
import struct
import zlib
from dataclasses import replace
from pathlib import Path

import imagecodecs
import numpy as np
from PIL import Image
from tests.imaging.builders import (
    avif_grid,
    cmyk_profile,
    deflated_tiff16,
    tiff_entries,
    tiff_file,
    tiled_tiff16,
)

from retouch.imaging.isobmff import read_items, write_items

SIGNATURE = b"\x89PNG\r\n\x1a\n"


def hostile_files(folder: Path) -> dict[str, tuple[Path, bytes]]:
    """Write files that must each be refused with a typed error; return path and content by name."""
    return _written(folder, {**_strangers(), **_pngs(), **_jpegs(), **_tiffs(), **_others()})


def tolerated_files(folder: Path) -> dict[str, tuple[Path, bytes]]:
    """Write files that are odd but hold a whole first picture, which must come out, and quickly."""
    return _written(folder, _tolerated())


def png_chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png_file(*chunks: bytes, width: int = 8, height: int = 8, bits: int = 8, colour_type: int = 2) -> bytes:
    """Return a PNG file of a header and the given chunks; `IEND` is the caller's."""
    header = struct.pack(">IIBBBBB", width, height, bits, colour_type, 0, 0, 0)
    return SIGNATURE + png_chunk(b"IHDR", header) + b"".join(chunks)


def idat(width: int = 8, height: int = 8, bytes_per_pixel: int = 3) -> bytes:
    return png_chunk(b"IDAT", zlib.compress(bytes(height * (1 + width * bytes_per_pixel))))


IEND = png_chunk(b"IEND", b"")


def _written(folder: Path, files: dict[str, bytes]) -> dict[str, tuple[Path, bytes]]:
    folder.mkdir(parents=True, exist_ok=True)
    written = {}
    for name, data in files.items():
        path = folder / f"{name}.png"
        path.write_bytes(data)
        written[name] = (path, data)
    return written


def _saved(kind: str, size: tuple[int, int] = (64, 48), mode: str = "RGB", **options: object) -> bytes:
    samples = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(samples).convert(mode).save(file, kind, **options)
    return file.getvalue()


def _strangers() -> dict[str, bytes]:
    """Files of other formats, some of which Pillow would read, and some of which it would run a program for."""
    svg = (
        b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaa">]><svg xmlns="http://www.w3.org/2000/svg">&a;</svg>'
    )
    return {
        "empty": b"",
        "one_byte": b"\x89",
        "noise": np.random.default_rng(1).bytes(4096),
        "text": b"this is no picture\n" * 20,
        "html": b"<!doctype html><script>alert(1)</script>",
        "svg": svg,
        "pdf": b"%PDF-1.7\n1 0 obj\n<<>>\nendobj\n",
        "postscript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(/etc/passwd) (r) file\n",
        "gif": _saved("GIF"),
        "ico": _saved("ICO", (32, 32)),
        "jpeg_2000": b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(64),
        "psd": b"8BPS\0\1" + bytes(200),
        "fits": b"SIMPLE  =                    T" + bytes(2880),
        "dds": b"DDS " + bytes(124),
        "portable_pixmap": _saved("PPM"),
        "targa": _saved("TGA"),
        "pcx": _saved("PCX"),
        "icns": b"icns" + bytes(64),
        "zip": b"PK\3\4" + bytes(64),
        "pickle": b"\x80\4cos\nsystem\n(S'true'\ntR.",
        "heif": b"\0\0\0\x18ftypheic\0\0\0\0heicmif1" + bytes(64),
        "riff_of_sound": b"RIFF\x24\0\0\0WAVEfmt " + bytes(32),
    }


def _pngs() -> dict[str, bytes]:
    whole = _saved("PNG")
    sixteen = bytes(imagecodecs.png_encode(np.arange(64 * 48 * 3, dtype=np.uint16).reshape(48, 64, 3)))
    profile_bomb = b"x\0\0" + zlib.compress(bytes(64 * 2**20), 9)
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 0xFF
    return {
        "png_signature_only": SIGNATURE,
        "png_cut_in_header": whole[:20],
        "png_cut_behind_its_size": whole[:25],
        "png_cut_in_half": whole[: len(whole) // 2],
        "png_without_end": whole[:-12],
        "png_flipped_byte": bytes(flipped),
        "png_of_60000": png_file(idat(), IEND, width=60_000, height=60_000),
        "png_of_2_31": png_file(idat(), IEND, width=2**31 - 1, height=2**31 - 1),
        "png_one_by_million": png_file(idat(), IEND, width=1_000_000, height=1),
        "png_of_nothing": png_file(idat(), IEND, width=0, height=0),
        "png_zero_rows": png_file(idat(), IEND, height=0),
        "png_chunk_past_the_end": png_file(struct.pack(">I4s", 2**31 - 1, b"IDAT") + bytes(32)),
        "png_flood_of_texts": png_file(png_chunk(b"tEXt", b"a\0b") * 200_000, idat(), IEND),
        "png_flood_of_empty_pixels": png_file(png_chunk(b"IDAT", b"") * 400_000, idat(), IEND),
        "png_profile_bomb": png_file(png_chunk(b"iCCP", profile_bomb), idat(), IEND),
        "png_of_kind_9": png_file(idat(), IEND, colour_type=9),
        "png_of_3_bits": png_file(idat(), IEND, bits=3),
        "png_pixels_missing": png_file(IEND),
        "png_pixels_too_few": png_file(idat(8, 3), IEND),
        "png_pixels_broken": png_file(png_chunk(b"IDAT", b"x\x9cbroken"), IEND),
        "png_without_palette": png_file(idat(bytes_per_pixel=1), IEND, colour_type=3),
        "png_header_later": SIGNATURE + idat() + IEND,
        "png16_cut": sixteen[: len(sixteen) // 2] + IEND,
        "png16_pixels_too_few": png_file(idat(8, 3, 6), IEND, bits=16),
        "png16_of_60000": png_file(idat(), IEND, width=60_000, height=60_000, bits=16),
    }


def _jpegs() -> dict[str, bytes]:
    whole = _saved("JPEG")
    progressive = _saved("JPEG", progressive=True)
    frame = whole.index(b"\xff\xc0")
    giant = whole[: frame + 5] + struct.pack(">HH", 65_500, 65_500) + whole[frame + 9 :]
    flat = whole[: frame + 5] + struct.pack(">HH", 0, 64) + whole[frame + 9 :]
    deep = whole[: frame + 4] + b"\x0c" + whole[frame + 5 :]
    scan = progressive.index(b"\xff\xda")
    return {
        "jpeg_start_only": b"\xff\xd8\xff",
        "jpeg_cut_in_header": whole[: frame + 3],
        "jpeg_cut_in_half": whole[: len(whole) // 2],
        "jpeg_of_65500": giant,
        "jpeg_of_no_rows": flat,
        "jpeg_of_12_bits": deep,
        "jpeg_without_frame": whole[:frame] + whole[whole.index(b"\xff\xda") :],
        "jpeg_of_thousand_scans": progressive[:scan] + progressive[scan : scan + 40] * 1_000 + b"\xff\xd9",
        "jpeg_flood_of_segments": b"\xff\xd8" + b"\xff\xe0\0\2" * 500_000,
        "jpeg_flood_of_fill": b"\xff\xd8" + b"\xff" * 3_000_000,
    }


def _tiffs() -> dict[str, bytes]:
    whole = _saved("TIFF")
    deflated = _saved("TIFF", compression="tiff_adobe_deflate")
    return {
        "tiff_start_only": b"II*\0",
        "tiff_cut_in_half": whole[: len(whole) // 2],
        "tiff_deflated_cut": deflated[: len(deflated) // 3],
        "tiff_directory_outside": b"II*\0" + struct.pack("<I", 10**6) + bytes(32),
        "tiff_of_60000": tiff_file(tiff_entries(60_000, 60_000)),
        "tiff_of_2_32": tiff_file(tiff_entries(2**32 - 1, 2**32 - 1)),
        "tiff_of_nothing": tiff_file(tiff_entries(0, 0)),
        "tiff_without_size": tiff_file([(258, 3, 1, 8)]),
        "tiff_of_floats": tiff_file(tiff_entries(4, 4, bits=32, sample_format=3), tail=bytes(64)),
        "tiff_of_signed": tiff_file(tiff_entries(4, 4, bits=16, sample_format=2), tail=bytes(64)),
        "tiff_of_32_bits": tiff_file(tiff_entries(4, 4, bits=32), tail=bytes(64)),
        "tiff_flood_of_tags": b"II*\0" + struct.pack("<IH", 8, 65_535) + bytes(12 * 65_535 + 4),
        "tiff_pixels_outside": tiff_file(tiff_entries(64, 64, offset=10**6)),
        "tiff16_pixels_outside": tiff_file(tiff_entries(64, 64, bits=16, offset=10**6)),
        "tiff16_of_60000": tiff_file(tiff_entries(60_000, 60_000, bits=16)),
        "tiff_of_40_channels": tiff_file([*tiff_entries(4, 4)[:6], (277, 3, 1, 40)], tail=bytes(4096)),
        "tiff16_of_two_sizes": deflated_tiff16(
            20_000, 20_000, block_rows=200, again=[(256, 4, 1, 8), (257, 4, 1, 8)]
        ),
        "tiff16_of_2000_channels": deflated_tiff16(700, 700, block_rows=1, samples=2_000),
        "tiff16_of_a_huge_tile": tiled_tiff16(12_000, 12_000),
        "tiff_of_a_huge_tile": tiled_tiff16(16_000, 16_000, bits=8),
        "tiff_of_a_hidden_width": tiff_file([(256, 9, 1, 60_000), *tiff_entries(64, 64)[1:]], tail=bytes(8192)),
        "tiff_of_lzma": _saved("TIFF", compression="lzma"),
        "bigtiff_of_endless_tags": b"II+\0" + struct.pack("<HHQQ", 8, 0, 16, 2**60) + bytes(64),
    }


def _others() -> dict[str, bytes]:
    webp, avif, bmp = _saved("WEBP", lossless=True), _saved("AVIF"), _saved("BMP")
    size = avif.index(b"ispe") + 8
    primary = avif.index(b"pitm") + 9
    (still,) = read_items(avif).by_number.values()
    frames = still.data + still.data[still.data.index(b"\x0a") :]
    huge_webp = (
        b"RIFF" + struct.pack("<I", 100) + b"WEBPVP8X" + struct.pack("<II", 10, 0) + b"\xff" * 6 + bytes(64)
    )
    return {
        "webp_start_only": webp[:12],
        "webp_cut_in_half": webp[: len(webp) // 2],
        "webp_of_2_24": huge_webp,
        "webp_without_picture": b"RIFF" + struct.pack("<I", 20) + b"WEBPEXIF" + bytes(12),
        "avif_start_only": avif[:32],
        "avif_cut_in_half": avif[: len(avif) // 2],
        "avif_of_2_32": avif[:size] + b"\xff" * 8 + avif[size + 8 :],
        "avif_of_a_larger_stream": avif[:size] + struct.pack(">II", 8, 8) + avif[size + 8 :],
        "avif_of_two_frames": write_items([replace(still, data=frames)], []),
        "avif_of_no_picture": avif[:primary] + b"\x40" + avif[primary + 1 :],
        "avif_of_two_item_lists": avif.replace(b"hdlr", b"pitm", 1),
        "avif_grid_of_another_size": avif_grid(claim=(64, 64)),
        "avif_grid_of_wide_tiles": avif_grid(1, 40, side=512, claim=(8, 40 * 512)),
        "avif_without_size": avif.replace(b"ispe", b"xxxx"),
        "bmp_start_only": bmp[:16],
        "bmp_cut_in_half": bmp[: len(bmp) // 2],
        "bmp_of_2_31": bmp[:18] + struct.pack("<ii", 2**31 - 1, -(2**31)) + bmp[26:],
        "bmp_of_run_lengths": bmp[:30] + struct.pack("<I", 1) + bmp[34:],
        "bmp_of_nothing": bmp[:18] + struct.pack("<ii", 0, 0) + bmp[26:],
        "bmp_of_negative_width": bmp[:18] + struct.pack("<ii", -64, 48) + bmp[26:],
    }


def _tolerated() -> dict[str, bytes]:
    whole = _saved("PNG")
    bomb = zlib.compress(bytes(64 * 2**20), 9)
    frames = [Image.new("RGB", (16, 16), (k * 40, 0, 0)) for k in range(4)]
    animations = {}
    for kind in ("PNG", "WEBP", "AVIF", "TIFF"):
        file = io.BytesIO()
        frames[0].save(file, kind, save_all=True, append_images=frames[1:])
        animations[f"animated_{kind.lower()}"] = file.getvalue()
    looping_exif = b"Exif\0\0II*\0" + struct.pack("<IHHHIII", 8, 1, 0x8769, 4, 1, 8, 8)
    page = tiff_entries(4, 4, offset=8 + 2 + 10 * 12 + 4)
    start = 8 + 2 + 10 * 12 + 4 + 16
    pages = b"".join(struct.pack("<HI", 0, start + 6 * (k + 1)) for k in range(200_000))
    return {
        "png_profile_broken": png_file(png_chunk(b"iCCP", b"x\0\0nothing"), idat(), IEND),
        **animations,
        "png_text_bomb": whole[:33] + png_chunk(b"zTXt", b"Comment\0\0" + bomb) + whole[33:],
        "png_international_text_bomb": whole[:33]
        + png_chunk(b"iTXt", b"parameters\0\1\0\0\0" + bomb)
        + whole[33:],
        "png_exif_garbage": whole[:33] + png_chunk(b"eXIf", b"II*\0\xff\xff\xff\xff") + whole[33:],
        "png_trailing_junk": whole + b"junk" * 1_000,
        "jpeg_profile_of_a_million_steps": _saved("JPEG", mode="CMYK", icc_profile=cmyk_profile(elements=400_000)),
        "avif_grid": avif_grid(),
        "jpeg_exif_loop": _saved("JPEG", exif=looping_exif),
        "tiff_of_many_pages": tiff_file(page, following=start, tail=bytes(16) + pages),
        "tiff_of_endless_pages": tiff_file(page, following=8, tail=bytes(16)),
    }
