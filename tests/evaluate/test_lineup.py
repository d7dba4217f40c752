from contextlib import ExitStack

from retouch.evaluate.lineup import Lineup, assemble, known_words
from retouch.evaluate.painters import Sampling


def test_the_model_comes_first_and_every_kind_of_rival_after_it(checkpoint, data_folder):
    with ExitStack() as stack:
        painters = assemble(Lineup(str(checkpoint), with_stock=True, data=data_folder), stack)
        assert [painter.name for painter in painters] == [
            "retouch",
            "stock diffusers",
            "sprite pasted",
            "retouch without a model (strength 0)",
            "grey fill",
            "mean of the ring",
            "colours spread inward",
            "OpenCV telea",
            "OpenCV navier-stokes",
            "VAE round trip",
            "truth",
        ]


def test_the_words_of_a_small_model_are_its_folders(checkpoint):
    assert known_words(Lineup(str(checkpoint))) is None
    assert {"apple", "car"} < known_words(Lineup(None))


def test_the_model_may_stand_alone_and_paints(checkpoint, cases):
    lineup = Lineup(
        str(checkpoint), rows_per_call=4, sampling=Sampling(2, 1.0), with_baselines=False, with_truth=False
    )
    with ExitStack() as stack:
        (painter,) = assemble(lineup, stack)
        assert painter.paint(cases[:1])[0].shape == cases[0].truth.shape
