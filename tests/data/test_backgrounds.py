from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from retouch.data.backgrounds import (
    GROUND_PLACES,
    HELD_OUT,
    PANORAMAS,
    SIDE_PX,
    Amounts,
    BackgroundPool,
    build_pool,
    cut_panorama,
    views,
)
from retouch.data.grounds import GROUNDS
from retouch.data.photographs import photographs
from retouch.data.vocabulary import PLACES


def write_exr(path: Path) -> Path:
    exr = pytest.importorskip("OpenEXR")
    pixels = np.random.default_rng(0).random((16, 32, 3)).astype(np.float16)
    header = {"compression": exr.ZIP_COMPRESSION, "type": exr.scanlineimage}
    exr.File(header, {"RGB": pixels}).write(str(path))
    return path


def test_every_held_out_places_words_are_also_trained():
    trained = {PLACES[place].group for name, place in PANORAMAS.items() if name not in HELD_OUT}
    assert set(PANORAMAS) > HELD_OUT
    assert {PLACES[PANORAMAS[name]].group for name in HELD_OUT} <= trained


def test_cameras_go_all_the_way_round_and_only_the_skys_look_up():
    rng = np.random.default_rng(0)
    found = list(views("pmndrs/park", 40, rng))
    assert np.ptp([view.yaw for view in found]) > 330
    assert max(view.pitch for view in found) <= 8
    assert min(view.pitch for view in views("pmndrs/sky", 40, rng)) >= 4


def test_soft_panoramas_are_seen_wide_and_fine_ones_closer():
    rng = np.random.default_rng(0)
    soft = [view.fov for view in views("pmndrs/park", 40, rng)]
    fine = [view.fov for view in views("blender/city", 40, rng)]
    assert min(soft) >= 95
    assert min(fine) < 80


def test_the_pool_holds_views_photographs_and_grounds_with_their_splits(tmp_path: Path):
    path = write_exr(tmp_path / "a.exr")
    rng = np.random.default_rng(0)
    train, held = (next(p for p in photographs() if p.split == split) for split in ("train", "validation"))
    image = Image.new("RGB", (SIDE_PX, SIDE_PX + 60), "teal")
    pictures, records = build_pool(
        {"pmndrs/park": path, "pmndrs/city": path, "blender/night": path},
        [(train, image), (held, image)],
        rng,
        Amounts(per_panorama=2, per_photograph=3, per_ground=1),
    )
    assert len(pictures) == len(records) == 4 + 2 + len(GROUNDS)
    assert all(picture.shape == (SIDE_PX, SIDE_PX, 3) for picture in pictures)
    splits = {record["origin"]: record["split"] for record in records}
    assert splits["pmndrs/park"] == splits[train.origin] == "train"
    assert splits["pmndrs/city"] == splits[held.origin] == "validation"
    BackgroundPool.write(tmp_path, pictures, records)
    pool = BackgroundPool.open(tmp_path)
    assert [pool.background(i).origin for i in pool.of_split("validation")] == ["pmndrs/city", held.origin]
    assert len(pool) == len(pictures)
    assert pool.background(0).pixels.shape == pictures[0].shape


def test_every_ground_shows_a_known_place():
    assert {GROUND_PLACES.get(ground, ground) for ground in GROUNDS} <= set(PLACES)


def test_views_of_one_seed_are_the_same(tmp_path: Path):
    path = write_exr(tmp_path / "a.exr")
    first, second = (
        next(cut_panorama(path, "pmndrs/park", 1, np.random.default_rng(3), side=16)) for _ in range(2)
    )
    assert np.array_equal(first, second)
    assert first.shape == (16, 16, 3)
