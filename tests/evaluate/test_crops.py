import numpy as np
import pytest
from PIL import Image

from retouch.errors import BadInput
from retouch.evaluate.crops import KINDS, PROMPT, card_cases, pictures_in, square_crop


@pytest.fixture
def photographs(tmp_path):
    rng = np.random.default_rng(0)
    (tmp_path / "deep").mkdir()
    for name, shape in (("b.png", (40, 60, 3)), ("a.jpg", (90, 30, 3)), ("deep/c.webp", (33, 33, 3))):
        Image.fromarray(rng.integers(0, 256, shape, dtype=np.uint8)).save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("no picture")
    return tmp_path


def test_pictures_are_found_in_order_and_limited(photographs):
    assert [path.name for path in pictures_in(photographs)] == ["a.jpg", "b.png", "c.webp"]
    assert len(pictures_in(photographs, 2)) == 2


def test_a_folder_without_pictures_is_an_error(tmp_path):
    with pytest.raises(BadInput, match="no pictures"):
        pictures_in(tmp_path)


@pytest.mark.parametrize("shape", [(20, 50, 3), (50, 20, 3), (128, 70, 3), (32, 32, 3)])
def test_crops_have_the_asked_side_whatever_the_picture(shape):
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    assert square_crop(pixels, 32, np.random.default_rng(1)).shape == (32, 32, 3)


def test_a_crop_keeps_the_proportions():
    stripes = np.zeros((40, 80, 3), dtype=np.uint8)
    stripes[:, 40:] = 255
    crop = square_crop(stripes, 20, np.random.default_rng(3))
    rows = crop[:, :, 0]
    assert (rows == rows[0]).all()  # nothing but the vertical edge


def test_a_picture_has_the_same_crop_and_another_mask_for_every_kind(photographs):
    paths = pictures_in(photographs)
    sets = {kind: list(card_cases(paths, kind, side=32, seed=5)) for kind in KINDS}
    for one, other in zip(sets["thin"], sets["thick"]):
        assert (one.truth == other.truth).all()
        assert (one.mask != other.mask).any()
    for cases in sets.values():
        assert all(0 < case.mask.mean() <= 0.5 for case in cases)
        assert {case.prompt for case in cases} == {PROMPT}


def test_the_same_seed_gives_the_same_cases(photographs):
    paths = pictures_in(photographs)
    one, two = (list(card_cases(paths, "medium", side=32, seed=1)) for _ in range(2))
    assert all((a.mask == b.mask).all() and (a.truth == b.truth).all() for a, b in zip(one, two))
