"""Memory that is taken again and again."""

from retouch.engine.layers.scratch import Scratch


def test_a_name_has_one_place_that_grows_and_others_have_their_own() -> None:
    scratch = Scratch()
    large, other = scratch.empty("a", (4, 6)), scratch.empty("b", (4, 6))
    assert scratch.empty("a", (2, 3)).data_ptr() == large.data_ptr() != other.data_ptr()
    assert scratch.empty("a", (5, 6)).shape == (5, 6)


def test_cleared_memory_is_not_handed_out_again() -> None:
    scratch = Scratch()
    kept = scratch.empty("a", (3,)).fill_(1.0)
    scratch.clear()
    scratch.empty("a", (3,)).zero_()
    assert kept.sum() == 3.0
