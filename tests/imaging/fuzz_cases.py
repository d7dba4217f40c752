"""Whole picture files of every kind that is read, small, and the doors that their broken copies go through."""

import io
from collections.abc import Callable
from functools import partial

import imagecodecs
import numpy as np
from PIL import Image, ImageCms
from tests.imaging.builders import avif_grid, cmyk_profile, tiled_tiff16
from tests.mutate import mutated, repair_png

from retouch.errors import RetouchError
from retouch.imaging.decode import decode_picture
from retouch.imaging.encode import encode_picture
from retouch.imaging.metadata import ResultMetadata, read_metadata
from retouch.imaging.picture import Picture

SIZE = (20, 24)
METADATA = ResultMetadata("a cat\nSteps: 3", {"format": 1, "request": {"prompt": "a cat"}})


def png() -> Callable[[int], str]:
    return _case("PNG", [*_saved("PNG", "1", "L", "LA", "P", "RGB", "RGBA", "I;16"), _deep("PNG")], repair_png)


def jpeg() -> Callable[[int], str]:
    progressive = _saved("JPEG", "RGB", progressive=True)
    cmyk = _saved("JPEG", "CMYK", icc_profile=cmyk_profile())
    return _case("JPEG", [*_saved("JPEG", "L", "RGB", "CMYK"), *progressive, *cmyk])


def webp() -> Callable[[int], str]:
    frames = _saved("WEBP", "RGBA", save_all=True, append_images=[_image("RGBA")])
    return _case("WEBP", [*_saved("WEBP", "RGB", "RGBA"), *_saved("WEBP", "RGBA", lossless=True), *frames])


def avif() -> Callable[[int], str]:
    frames = _saved("AVIF", "RGB", save_all=True, append_images=[_image("RGB")])
    deep = imagecodecs.avif_encode(_samples(np.uint16, 3) >> 6, bitspersample=10)
    return _case("AVIF", [*_saved("AVIF", "L", "RGB", "RGBA"), *frames, bytes(deep), avif_grid()])


def tiff() -> Callable[[int], str]:
    kinds = ("raw", "packbits", "tiff_lzw", "tiff_adobe_deflate", "jpeg", "zstd")
    shallow = [file for kind in kinds for file in _saved("TIFF", "RGB", compression=kind)]
    fax = _saved("TIFF", "1", compression="group4")
    others = _saved("TIFF", "L", "P", "RGBA", "CMYK", "I;16")
    return _case("TIFF", [*shallow, *fax, *others, _deep("TIFF"), tiled_tiff16(16, 16)])


def bmp() -> Callable[[int], str]:
    return _case("BMP", _saved("BMP", "1", "L", "P", "RGB", "RGBA"))


def _case(name: str, seeds: list[bytes], repair: Callable[[bytes], bytes] = bytes) -> Callable[[int], str]:
    own = _ours(name) if name != "BMP" else []
    return partial(_run, [*seeds, *own], name, repair)


def _run(seeds: list[bytes], name: str, repair: Callable[[bytes], bytes], number: int) -> str:
    """Take a broken file to the doors of pictures and of metadata."""
    data = mutated(seeds, number, name=name, repair=repair)
    ends = []
    for door in (decode_picture, read_metadata):
        try:
            door(data)
            ends.append("taken")
        except RetouchError as error:
            ends.append(error.code)
    return ends[0]


def _samples(dtype: type = np.uint8, channels: int = 4) -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.integers(0, np.iinfo(dtype).max, (*SIZE, channels), dtype=dtype, endpoint=True)


def _image(mode: str) -> Image.Image:
    if mode == "I;16":
        return Image.fromarray(_samples(np.uint16, 1)[..., 0])
    return Image.fromarray(_samples(), "RGBA").convert(mode)


def _saved(kind: str, *modes: str, **options: object) -> list[bytes]:
    files = []
    for mode in modes:
        file = io.BytesIO()
        _image(mode).save(file, kind, **options)
        files.append(file.getvalue())
    return files


def _ours(kind: str) -> list[bytes]:
    """Files with a profile, EXIF and a record, as results have them."""
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "a description"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    pixels = np.ascontiguousarray(_samples()[..., :3])
    picture = Picture(pixels, icc=profile, exif=exif.tobytes().removeprefix(b"Exif\0\0"))
    return [encode_picture(picture, kind, metadata=METADATA)]


def _deep(kind: str) -> bytes:
    samples = _samples(np.uint16, 4)
    return encode_picture(Picture(samples[..., :3].copy(), samples[..., 3].copy()), kind)
