import numpy as np

from retouch.data.compose import SceneComposer
from retouch.data.sheet import outline, sample_sheet


def test_an_outline_is_the_masks_inner_border():
    mask = np.zeros((8, 8), dtype=np.bool_)
    mask[2:7, 2:7] = True
    assert outline(mask).sum() == 16
    assert not outline(np.ones((8, 8), dtype=np.bool_)).any()


def test_a_sheet_has_a_cell_for_every_scene(composer: SceneComposer):
    sheet = np.asarray(sample_sheet(composer, 7, columns=3))
    cell, high = 96, sheet.shape[0] // 3
    assert sheet.shape[1] == 3 * (cell + 4)
    filled = [
        sheet[r * high : r * high + cell, c * 100 : c * 100 + cell].std() > 1 for r in range(3) for c in range(3)
    ]
    assert filled == [True] * 7 + [False] * 2
