import numpy as np
import pytest

from retouch.data.colour import (
    COLOURS,
    SHADES,
    from_oklab,
    hue_and_chroma,
    palette,
    recolour,
    to_oklab,
)
from retouch.data.solids import ball, bench

NEUTRAL = ("black", "grey", "white")


def opaque(rgba: np.ndarray) -> np.ndarray:
    return rgba[rgba[..., 3] == 255][:, :3]


def test_oklab_of_white_black_and_red_is_as_published():
    lab = to_oklab(np.array([[255, 255, 255], [0, 0, 0], [255, 0, 0]], dtype=np.uint8))
    # Ottosson's table of sRGB primaries.
    np.testing.assert_allclose(lab, [[1, 0, 0], [0, 0, 0], [0.628, 0.225, 0.126]], atol=2e-3)


def test_oklab_and_back_returns_every_byte():
    rgb = np.random.default_rng(0).integers(0, 256, (500, 3)).astype(np.uint8)
    assert np.abs(from_oklab(to_oklab(rgb)).astype(int) - rgb).max() <= 1


@pytest.mark.parametrize("colour", [name for name in COLOURS if name not in NEUTRAL])
@pytest.mark.parametrize(
    "picture",
    [ball((220, 60, 60), (240, 240, 240), stripes=2), bench(yaw=0.5, wood=(9, 90, 9), metal=(40, 40, 40))],
)
def test_a_recoloured_picture_has_the_named_hue(colour: str, picture: np.ndarray):
    hue, chroma = hue_and_chroma(to_oklab(opaque(recolour(picture, colour))))
    vivid = chroma > 0.04
    assert vivid.mean() > 0.6
    off = (hue[vivid] - SHADES[colour].hue + 180) % 360 - 180
    assert np.abs(np.median(off)) < 8
    assert np.percentile(np.abs(off), 95) < 20


@pytest.mark.parametrize("colour", NEUTRAL)
def test_black_grey_and_white_have_no_chroma_and_their_own_lightness(colour: str):
    lab = to_oklab(opaque(recolour(ball((220, 60, 60), (66, 140, 230), stripes=1), colour)))
    assert hue_and_chroma(lab)[1].max() < 0.03
    assert abs(float(np.median(lab[:, 0])) - SHADES[colour].lightness) < 0.06


def test_lightness_keeps_its_order_and_alpha_its_bytes():
    picture = ball((220, 60, 60), (240, 240, 240), stripes=2)
    painted = recolour(picture, "blue")
    before, after = to_oklab(opaque(picture))[:, 0], to_oklab(opaque(painted))[:, 0]
    order = np.argsort(before)
    # Byte rounding and the gamut's edge allow tiny steps back.
    assert (np.diff(after[order]) > -0.03).all()
    assert np.array_equal(picture[..., 3], painted[..., 3])


def test_colours_differ_from_each_other_clearly():
    middles = {c: to_oklab(palette(c)[round(SHADES[c].lightness * 255)][None])[0] for c in COLOURS}
    for first in COLOURS:
        for second in COLOURS:
            if first != second:
                assert np.linalg.norm(middles[first] - middles[second]) > 0.1, (first, second)


def test_variants_stay_near_the_colour():
    centre = to_oklab(palette("green")[150][None])[0]
    for variant in range(1, 9):
        assert 0 < np.linalg.norm(to_oklab(palette("green", variant)[150][None])[0] - centre) < 0.06


def test_an_unknown_colour_is_an_error():
    with pytest.raises(KeyError):
        recolour(ball((1, 2, 3), (4, 5, 6), stripes=1), "octarine")
