import numpy as np

from retouch.data.vocabulary import concepts
from retouch.evaluate.baselines import DiffusionFreePainter
from retouch.evaluate.holes import HOLES
from retouch.evaluate.showcase import COLUMNS, showcase, showcase_cases


def test_the_seed_alone_chooses_six_cases_of_every_shape():
    one, again, other = (showcase_cases(size=32, seed=seed) for seed in (0, 0, 1))
    assert len(one) == 48 == COLUMNS * len(HOLES)
    assert all((a.mask == b.mask).all() and a.prompt == b.prompt for a, b in zip(one, again))
    assert [case.prompt for case in one] != [case.prompt for case in other]
    assert sum(case.prompt == "" for case in one) == 16


def test_a_small_model_is_asked_for_what_it_knows():
    words = {"apple", "car"}
    asked = {case.prompt.rpartition(" ")[2] for case in showcase_cases(size=32, seed=0, words=words)}
    assert asked == {"apple", "car", ""}
    assert {"apple", "car"} <= {concept.name for concept in concepts()}


def test_every_fill_stands_beside_its_hole():
    cases = showcase_cases(size=32, seed=0)
    drawn = np.asarray(showcase(DiffusionFreePainter("telea"), cases, side_px=32))
    fill = DiffusionFreePainter("telea").paint(cases[:1])[0]
    assert (drawn[8 : 8 + 32, 8 + 32 : 8 + 64] == fill).all()
    assert drawn.shape[1] == COLUMNS * (64 + 8) + 8
