"""A mask survives as text, and claims about it are checked."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.extra import numpy as hnp

from retouch.errors import MaskError
from retouch.imaging.limits import DecodeLimits
from retouch.imaging.mask_bits import pack_mask, unpack_mask


@settings(max_examples=200)
@given(hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=20)))
def test_a_mask_comes_back_from_json(mask: np.ndarray) -> None:
    assert np.array_equal(unpack_mask(json.loads(json.dumps(pack_mask(mask)))), mask)


def test_a_large_simple_mask_is_a_short_text() -> None:
    mask = np.zeros((3000, 4000), bool)
    mask[500:900, 700:1900] = True
    assert len(pack_mask(mask)["bits"]) < 5_000


GOOD = pack_mask(np.eye(9, dtype=bool))


@pytest.mark.parametrize(
    "change",
    [
        {"width": None},
        {"width": "9"},
        {"width": True},
        {"width": 0},
        {"height": -1},
        {"height": 10},
        {"width": 17},
        {"width": 10**9, "height": 10**9},
        {"bits": None},
        {"bits": "?"},
        {"bits": "ä"},
        {"bits": ""},
        {"bits": GOOD["bits"][:8]},
    ],
)
def test_wrong_claims_are_refused(change: dict) -> None:
    with pytest.raises(MaskError):
        unpack_mask({**GOOD, **change})


def test_a_bomb_is_not_inflated() -> None:
    bomb = pack_mask(np.zeros((8_000, 8_000), bool))["bits"]
    with pytest.raises(MaskError):
        unpack_mask({"width": 8, "height": 8, "bits": bomb})


def test_the_limits_of_pictures_hold() -> None:
    with pytest.raises(MaskError):
        unpack_mask(GOOD, limits=DecodeLimits(image_side=8))
    assert unpack_mask(GOOD, limits=DecodeLimits(image_side=9)).any()
