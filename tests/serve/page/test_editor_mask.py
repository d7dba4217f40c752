"""Painting: the mask that the editor's tools make."""

import numpy as np
import pytest
from tests.serve.page.bench import ALT, EditorBench, square

pytestmark = pytest.mark.slow


@pytest.fixture
def opened(bench: EditorBench) -> EditorBench:
    bench.open(square())
    bench.js("editor.brush = {size_px: 20, softness: 0}")
    return bench


def test_the_brush_paints_a_round_stroke_where_the_mouse_went(opened: EditorBench) -> None:
    opened.drag([(50, 100), (100, 100), (150, 100)])

    y, x = np.mgrid[0:200, 0:200] + 0.5
    along = np.clip(x, 50, 150)
    distance = np.hypot(x - along, y - 100)
    mask = opened.mask()
    assert set(np.unique(mask)) == {0, 255}
    assert (mask[distance < 9.4] == 255).all()
    assert (mask[distance > 10.6] == 0).all()


def test_the_right_button_and_alt_erase(opened: EditorBench) -> None:
    opened.drag([(50, 100), (150, 100)])
    opened.drag([(60, 80), (60, 120)], button="right")
    opened.drag([(140, 80), (140, 120)], modifiers=ALT)

    mask = opened.mask()
    assert mask[100, 60] == 0
    assert mask[100, 140] == 0
    assert mask[100, 100] == 255
