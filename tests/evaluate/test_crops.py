import numpy as np
import pytest
from PIL import Image

from retouch.errors import BadInput
from retouch.evaluate.crops import KINDS, PROMPT, card_cases, fitted, masked_crop, pictures_in


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
    truth, mask = masked_crop(fitted(pixels, 32), "thick", np.random.default_rng(1))
    assert (truth.shape, mask.shape) == ((32, 32, 3), (32, 32))


def test_a_crop_keeps_the_proportions():
    stripes = np.zeros((40, 80, 3), dtype=np.uint8)
    stripes[:, 40:] = 255
    scaled = fitted(stripes, 20)
    assert scaled.shape == (20, 40, 3)
    assert (scaled == scaled[0]).all()  # nothing but the vertical edge


@pytest.mark.parametrize("is_wide", [True, False])
def test_the_picture_is_masked_before_it_is_cropped(is_wide, monkeypatch):
    side, place = 32, (slice(None), slice(100, 104))
    mask = np.zeros((side, 128), dtype=bool)
    mask[place] = True
    pixels = np.repeat(mask[..., None], 3, axis=2).astype(np.uint8)
    if not is_wide:
        mask, pixels = mask.T, pixels.transpose(1, 0, 2)
    monkeypatch.setattr("retouch.evaluate.crops.irregular", lambda rng, size, kind: mask)
    lefts = set()
    for seed in range(40):
        truth, window = masked_crop(pixels, "thin", np.random.default_rng(seed))
        assert (truth[..., 0] == window).all()
        lefts.add(int(np.flatnonzero(window.any(axis=0 if is_wide else 1))[0]))
    # LaMa's crop lies between the one that ends with the mask and the one that the picture's border allows.
    assert lefts <= set(range(4, 29))
    assert len(lefts) > 8


def test_every_kind_of_mask_covers_at_most_half_of_the_crop(photographs):
    paths = pictures_in(photographs)
    for kind in KINDS:
        cases = list(card_cases(paths, kind, side=32, seed=5))
        assert all(0 < case.mask.mean() <= 0.5 for case in cases)
        assert {case.prompt for case in cases} == {PROMPT}


def test_the_same_seed_gives_the_same_cases(photographs):
    paths = pictures_in(photographs)
    one, two = (list(card_cases(paths, "medium", side=32, seed=1)) for _ in range(2))
    assert all((a.mask == b.mask).all() and (a.truth == b.truth).all() for a, b in zip(one, two))
