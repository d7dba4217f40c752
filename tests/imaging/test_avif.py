"""The lean copy of an AVIF file shows the same picture."""

import io

import imagecodecs
import numpy as np
import pytest
from PIL import Image
from tests.imaging.builders import avif_grid

from retouch.errors import ImageError
from retouch.imaging.avif import lean_avif
from retouch.imaging.isobmff import read_items, write_items


def _saved(mode: str = "RGB", **options: object) -> bytes:
    samples = np.random.default_rng(0).integers(0, 256, (40, 64, 4), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(samples, "RGBA").convert(mode).save(file, "AVIF", **options)
    return file.getvalue()


def _turned() -> bytes:
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "a description"
    return _saved(exif=exif, icc_profile=b"profile" * 40)


def _deep(bits: int) -> bytes:
    samples = np.random.default_rng(0).integers(0, 2**bits, (40, 64, 3), dtype=np.uint16)
    return bytes(imagecodecs.avif_encode(samples, bitspersample=bits))


FILES = {
    "grey": _saved("L"),
    "colour": _saved(),
    "alpha": _saved("RGBA"),
    "premultiplied": _saved("RGBA", alpha_premultiplied=True),
    "full colour": _saved(subsampling="4:4:4"),
    "tiled": _saved(tile_rows=1, tile_cols=1),
    "turned, with profile and EXIF": _turned(),
    "sequence": _saved("RGBA", save_all=True, append_images=[Image.new("RGBA", (64, 40))]),
    "10 bits": _deep(10),
    "12 bits": _deep(12),
    "grid": avif_grid(3, 2),
}


@pytest.mark.parametrize("name", FILES)
def test_the_lean_copy_decodes_to_the_same_picture(name: str) -> None:
    lean = lean_avif(FILES[name])
    with Image.open(io.BytesIO(FILES[name])) as whole, Image.open(io.BytesIO(lean.data)) as copy:
        assert np.array_equal(np.asarray(whole), np.asarray(copy))
        assert whole.size == copy.size == (lean.width, lean.height)
        assert whole.info.get("exif") == copy.info.get("exif")
        assert whole.info.get("icc_profile") == copy.info.get("icc_profile")


def test_depth_sequence_and_exif_are_told() -> None:
    assert [name for name in FILES if lean_avif(FILES[name]).is_deep] == ["10 bits", "12 bits"]
    assert [name for name in FILES if lean_avif(FILES[name]).is_animated] == ["sequence"]
    assert b"a description" in lean_avif(FILES["turned, with profile and EXIF"]).exif


def test_what_is_no_part_of_the_picture_is_left_out() -> None:
    data = _saved(xmp=b"<x:xmpmeta/>" * 100)
    assert b"xmpmeta" in data
    assert b"xmpmeta" not in lean_avif(data).data


@pytest.mark.parametrize("claim", [(8, 8), (64, 41), (0, 0), (2**31, 2**31)])
def test_a_size_that_is_not_the_streams_is_an_error(claim: tuple[int, int]) -> None:
    data = bytearray(_saved())
    place = data.index(b"ispe") + 8
    data[place : place + 8] = b"".join(side.to_bytes(4, "big") for side in claim)
    with pytest.raises(ImageError, match="another size"):
        lean_avif(bytes(data))


@pytest.mark.parametrize("tiles", [(), (2, 3), (2, 2, 2, 2), (1, 2, 3, 4), (2, 3, 4, 99)])
def test_a_grid_of_other_tiles_is_an_error(tiles: tuple[int, ...]) -> None:
    items = read_items(avif_grid(2, 2))
    with pytest.raises(ImageError):
        lean_avif(write_items(list(items.by_number.values()), [(b"dimg", 1, tiles)]))
