import json
from pathlib import Path

import numpy as np
import pytest
from tests.icon_sets import write_icon_sets

from retouch.data.outsiders import HELD_OUT_SET, IconSet, build_outsiders
from retouch.data.sources import PERMISSIVE
from retouch.data.sprites import SpritePack


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    return write_icon_sets(tmp_path / "packages")


def test_every_set_gives_a_picture_of_what_it_has_and_one_set_is_held_out(packages, tmp_path):
    pack = SpritePack.open(build_outsiders(packages, tmp_path / "out"))
    found = {(record["concept"], record["source"]): record["split"] for record in pack.records}
    assert found[("apple", "twemoji")] == found[("apple", "emojione")] == "train"
    assert found[("apple", HELD_OUT_SET)] == "validation"
    assert ("car", HELD_OUT_SET) not in found
    assert ("airplane", "twemoji") in found  # its code point carries a selector in the vocabulary
    assert {record["licence"] for record in pack.records} <= PERMISSIVE
    assert not list((tmp_path / "out").glob(".unpacked*"))


def test_drawings_are_cut_out(packages, tmp_path):
    pack = SpritePack.open(build_outsiders(packages, tmp_path / "out"))
    pixels = pack.sprite(0).pixels
    assert abs(pixels.shape[0] - pixels.shape[1]) <= 1
    assert pixels[0, 0, 3] == 0
    assert np.median(pixels[..., 3]) == 255


def test_a_drawing_may_have_a_size_of_its_own(tmp_path):
    icons = {"wide": {"body": "<path/>", "width": 90}, "usual": {"body": "<g/>"}}
    (tmp_path / "icons.json").write_text(json.dumps({"icons": icons, "height": 30}))
    found = IconSet(tmp_path)
    assert "wide" in found
    assert "narrow" not in found
    assert 'viewBox="0 0 90 30"' in found.svg("wide")
    assert 'viewBox="0 0 16 30"' in found.svg("usual")
