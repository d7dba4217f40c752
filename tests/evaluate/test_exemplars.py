from collections import Counter

import numpy as np

from retouch.data.compose import SceneComposer
from retouch.data.sprites import SpritePack
from retouch.evaluate.exemplars import (
    ProbeRecipe,
    data_fingerprint,
    default_cache_dir,
    exemplars,
    soften,
    trained_probe,
)

RECIPE = ProbeRecipe(per_concept=3, size=32)


def test_every_concept_gets_its_share_of_crops(data_folder):
    composer = SceneComposer.open(data_folder, size=32)
    pairs = list(exemplars(composer, RECIPE))
    assert Counter(name for _, name in pairs) == {concept.name: 3 for concept in composer.concepts}
    assert all(crop.ndim == 3 and max(crop.shape[:2]) <= 32 for crop, _ in pairs)


def test_the_probe_is_trained_once_and_then_read(data_folder, tmp_path, thumbnails):
    class Counting(type(thumbnails)):
        calls = 0

        def extract(self, pictures):
            Counting.calls += 1
            return super().extract(pictures)

    first = trained_probe(data_folder, Counting(), recipe=RECIPE, cache_dir=tmp_path)
    second = trained_probe(data_folder, Counting(), recipe=RECIPE, cache_dir=tmp_path)
    assert Counting.calls == 1
    np.testing.assert_array_equal(first.weights, second.weights)


def test_other_data_has_another_fingerprint(data_folder, tmp_path):
    for path in data_folder.glob("*.npz"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    assert data_fingerprint(tmp_path) == data_fingerprint(data_folder)
    with (tmp_path / "sprites.npz").open("ab") as file:
        file.write(b"\0")
    assert data_fingerprint(tmp_path) != data_fingerprint(data_folder)


def test_a_probe_may_learn_other_pictures_over_the_same_places(data_folder, tmp_path, thumbnails):
    others = tmp_path / "others"
    others.mkdir()
    pack = SpritePack.open(data_folder)
    rows = [k for k, record in enumerate(pack.records) if record["concept"] != "cup"]
    SpritePack.write(others, [pack.sprite(k).pixels for k in rows], [pack.records[k] for k in rows])
    own = trained_probe(data_folder, thumbnails, recipe=RECIPE, cache_dir=tmp_path)
    other = trained_probe(data_folder, thumbnails, recipe=RECIPE, cache_dir=tmp_path, sprites_dir=others)
    assert set(own.classes) - set(other.classes) == {"cup"}
    assert data_fingerprint(data_folder, others) != data_fingerprint(data_folder)


def test_softening_lowers_contrast_and_is_seeded():
    picture = (np.indices((32, 32)).sum(0) % 2 * 255).astype(np.uint8)[..., None].repeat(3, 2)
    soft = soften(picture, np.random.default_rng(0))
    assert soft.std() < picture.std()
    assert (soft == soften(picture, np.random.default_rng(0))).all()


def test_the_cache_follows_xdg(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_cache_dir() == tmp_path / "retouch"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_cache_dir() == tmp_path / ".cache" / "retouch"
