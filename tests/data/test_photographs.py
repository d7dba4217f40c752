import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.qt_archives import rcc_bytes

from retouch.data.photographs import PhotographReader, cut_photograph, photographs, squares
from retouch.data.sources import PERMISSIVE, SOURCES
from retouch.data.vocabulary import PLACES
from retouch.errors import BadInput


def picture(size: tuple[int, int], form: str) -> bytes:
    """Red left half, blue right half."""
    pixels = np.zeros((size[1], size[0], 3), np.uint8)
    pixels[:, : size[0] // 2, 0] = 255
    pixels[:, size[0] // 2 :, 2] = 255
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, form, quality=95)
    return buffer.getvalue()


def test_every_photograph_is_permissive_and_shows_a_known_place():
    for photograph in photographs():
        assert photograph.licence in PERMISSIVE
        assert photograph.author
        assert photograph.place in PLACES
        assert photograph.source in SOURCES
        assert photograph.split in ("train", "validation")
        left, top, right, bottom = photograph.region
        assert 0 <= left < right <= 1
        assert 0 <= top < bottom <= 1


def test_whole_photographs_are_held_out_and_their_places_are_trained():
    origins = [photograph.origin for photograph in photographs()]
    assert len(origins) == len(set(origins))
    held = {PLACES[p.place].group for p in photographs() if p.split == "validation"}
    assert held
    assert held <= {PLACES[p.place].group for p in photographs() if p.split == "train"}


def test_everyone_whose_licence_asks_to_be_named_is_named_in_the_notices():
    notices = (Path(__file__).parents[2] / "src/retouch/data/LICENCES.md").read_text(encoding="utf-8")
    for photograph in photographs():
        if photograph.licence.startswith("CC-BY"):
            assert photograph.author in notices
            assert photograph.licence in notices


def test_a_region_is_read_from_a_resource_file_and_from_a_folder(tmp_path: Path):
    inner = "gcompris/src/activities/sea/resource/a.webp"
    (tmp_path / "sea.rcc").write_bytes(rcc_bytes({inner: picture((40, 20), "WEBP")}))
    (tmp_path / "b.jpg").write_bytes(picture((40, 20), "JPEG"))
    base = replace(photographs()[0], region=(0.5, 0, 1, 0.5))
    reader = PhotographReader({"gcompris": tmp_path, "lomiri": tmp_path})
    for source, path in (("gcompris", "sea/resource/a.webp"), ("lomiri", "b.jpg")):
        region = reader.read(replace(base, source=source, path=path))
        assert region.size == (20, 10)
        assert np.asarray(region)[5, 12, 2] > 200
    with pytest.raises(BadInput, match=r"no c\.jpg"):
        reader.read(replace(base, source="lomiri", path="c.jpg"))


@pytest.mark.parametrize("size", [(3088, 2056), (1024, 768), (683, 1024), (300, 260)])
def test_crops_are_squares_inside_the_picture_from_whole_to_native_resolution(size: tuple[int, int]):
    boxes = list(squares(size, 384, 18, np.random.default_rng(0)))
    assert 1 <= len(boxes) <= 18
    for left, top, right, bottom in boxes:
        assert right - left == bottom - top
        assert 0 <= left < right <= size[0]
        assert 0 <= top < bottom <= size[1]
    sides = [box[2] - box[0] for box in boxes]
    assert sides[0] == min(size)
    assert min(sides) >= min(384, *size)
    assert sides == sorted(sides, reverse=True)


def test_large_pictures_give_many_crops_and_small_ones_few():
    rng = np.random.default_rng(0)
    counts = [len(list(squares(size, 384, 18, rng))) for size in ((3088, 2056), (1024, 768), (384, 384))]
    assert counts[0] == 18
    assert counts[0] > counts[1] > counts[2] == 1


def test_crops_have_the_side_asked_for():
    image = Image.open(io.BytesIO(picture((90, 60), "JPEG")))
    crops = list(cut_photograph(image, 4, np.random.default_rng(0), side=16))
    assert len(crops) == 4
    assert {crop.shape for crop in crops} == {(16, 16, 3)}
