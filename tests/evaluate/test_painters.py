import json

import numpy as np
import pytest

from retouch.errors import ModelNotFound
from retouch.evaluate.painters import EnginePainter, Sampling, StockPainter
from retouch.inpainter import Inpainter

QUICK = Sampling(num_inference_steps=2, guidance_scale=3.0, batch=3)


def test_stock_fills_keep_the_rest_and_do_not_depend_on_the_batch(checkpoint, cases):
    chosen = cases[:4]
    together = StockPainter(checkpoint, QUICK).paint(chosen)
    alone = StockPainter(checkpoint, Sampling(2, 3.0, batch=1)).paint(chosen)
    for one, other, case in zip(together, alone, chosen):
        assert (one[~case.mask] == case.truth[~case.mask]).all()
        assert np.abs(one.astype(int) - other.astype(int)).max() <= 1
        assert (one[case.mask] != case.visible[case.mask]).any()


def test_our_engine_paints_every_case_in_order_and_keeps_the_rest(checkpoint, cases):
    chosen = cases[:4]
    with Inpainter.load(checkpoint) as inpainter:
        painter = EnginePainter(inpainter, QUICK)
        together, alone = painter.paint(chosen), [painter.paint([case])[0] for case in chosen]
    for one, other, case in zip(together, alone, chosen):
        assert one.shape == case.truth.shape
        assert (one[~case.mask] == case.truth[~case.mask]).all()
        assert np.abs(one.astype(int) - other.astype(int)).max() <= 1


def test_sampling_takes_the_checkpoints_advice_where_it_says_nothing(tmp_path):
    advice = {"num_inference_steps": 17, "guidance_scale": 2.5}
    (tmp_path / "retouch.json").write_text(json.dumps({"recommended": advice}))
    assert Sampling().settled(tmp_path) == Sampling(17, 2.5)
    assert Sampling(4, 1.0, 2).settled(tmp_path) == Sampling(4, 1.0, 2)
    assert Sampling().settled(tmp_path / "elsewhere") == Sampling(30, 7.5)


def test_a_folder_that_is_no_checkpoint_is_an_error(tmp_path):
    with pytest.raises(ModelNotFound, match=r"model_index\.json"):
        StockPainter(tmp_path)
