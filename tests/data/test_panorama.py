import base64
from pathlib import Path

import numpy as np
import pytest

from retouch.data.panorama import View, cut, develop, exr_bytes, read_exr
from retouch.errors import BadInput


def compass(height: int = 64) -> np.ndarray:
    """A panorama whose red says the longitude (0..1) and whose green says the latitude (top = 1)."""
    y, x = np.mgrid[0:height, 0 : 2 * height].astype(np.float32)
    red, green = (x + 0.5) / (2 * height), 1 - (y + 0.5) / height
    return np.stack([red, green, np.zeros_like(red)], -1).astype(np.float32)


@pytest.mark.parametrize(("yaw", "pitch"), [(90, 0), (180, 0), (200, 30), (120, -40)])
def test_the_middle_of_a_view_is_where_the_camera_looks(yaw: float, pitch: float):
    view = cut(compass(), View(yaw, pitch, 60), 33)
    assert view[16, 16, 0] == pytest.approx(yaw / 360, abs=0.01)
    assert view[16, 16, 1] == pytest.approx(0.5 + pitch / 180, abs=0.01)


def test_the_edges_of_a_level_view_span_its_field():
    row = cut(compass(), View(180, 0, 80), 101)[50, :, 0]
    assert (row[-1] - row[0]) * 360 == pytest.approx(80, abs=1.5)
    assert (np.diff(row) > 0).all()


def test_up_is_up():
    view = cut(compass(), View(180, 10, 60), 32)
    assert view[0, 16, 1] > view[-1, 16, 1]


def test_developing_puts_the_median_in_the_middle_and_clips_nothing_to_black():
    linear = np.random.default_rng(0).lognormal(-3, 1, (40, 40, 3)).astype(np.float32)
    for scale in (0.01, 1, 100):
        picture = develop(linear * scale)
        assert 95 < np.median(picture) < 150
        assert np.array_equal(np.argsort(linear[0, :, 0]), np.argsort(linear[0, :, 0] * scale))


def test_a_module_of_javascript_yields_its_picture(tmp_path: Path):
    path = tmp_path / "a.exr.js"
    path.write_text(f"export default 'data:application/exr;base64,{base64.b64encode(b'pixels').decode()}';")
    assert exr_bytes(path) == b"pixels"
    path.write_text("export default 3")
    with pytest.raises(BadInput):
        exr_bytes(path)


def test_reading_makes_broken_blocks_around_the_sun_white(tmp_path: Path):
    exr = pytest.importorskip("OpenEXR")
    pixels = np.full((32, 64, 3), 0.5, dtype=np.float16)
    pixels[9, 9] = (20, 15, 15000)
    pixels[10, 20] = (20, 15, -2300)
    pixels[30, 60] = (0.5, -0.01, 0.5)
    exr.File({"compression": exr.ZIP_COMPRESSION, "type": exr.scanlineimage}, {"RGB": pixels}).write(
        str(tmp_path / "a.exr")
    )
    linear = read_exr(tmp_path / "a.exr")
    assert linear.shape == (32, 64, 3)
    assert (linear[8:16, 8:24] >= 100).all()
    assert (linear >= 100).sum() == 2 * 64 * 3
    assert linear[30, 60].tolist() == [0.5, 0, 0.5]
    assert (linear[0, 0] == 0.5).all()
