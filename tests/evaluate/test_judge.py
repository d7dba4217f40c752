from dataclasses import replace

import numpy as np
import pytest

from retouch.evaluate.judge import Judge
from retouch.evaluate.probe import Probe


def _opinions(judge, cases, pictures=None):
    pictures = [case.truth for case in cases] if pictures is None else pictures
    return judge.opinions(judge.features(pictures, cases), pictures, cases)


def test_colours_of_real_composites_are_read_and_only_where_asked(judge, cases):
    opinions = _opinions(judge, cases)
    asked = [opinion for opinion, case in zip(opinions, cases) if case.colour is not None]
    assert np.mean([opinion.is_asked_colour for opinion in asked]) > 0.7
    assert all(o.is_asked_colour is None for o, case in zip(opinions, cases) if case.colour is None)


def test_objects_of_real_composites_are_found_more_often_than_by_chance(judge, cases):
    objects = [case for case in cases if case.concept is not None]
    opinions = _opinions(judge, objects)
    assert np.mean([opinion.is_asked_object for opinion in opinions]) > 0.5
    assert all(opinion.is_near for opinion in opinions)  # four names in all


def test_the_rank_is_the_asked_names_place(judge, cases):
    case = next(case for case in cases if case.concept is not None)
    names = judge.probe.classes
    ranks = {name: _opinions(judge, [replace(case, concept=name)])[0].rank for name in names}
    assert sorted(ranks.values()) == list(range(1, len(names) + 1))


def test_the_opinion_does_not_depend_on_the_prompt(judge, cases):
    case = next(case for case in cases if case.concept is not None)
    one, other = (_opinions(judge, [replace(case, prompt=text)])[0] for text in ("a cat", "a dog"))
    assert one == other


def test_backgrounds_have_no_rank(judge, cases):
    background = next(case for case in cases if case.concept is None)
    opinion = _opinions(judge, [background])[0]
    assert opinion.rank is None
    assert not opinion.is_asked_object
    assert not opinion.is_near


def test_an_outsider_ranks_the_same_names_by_its_own_probe(judge, cases):
    objects = [case for case in cases if case.concept is not None]
    assert all(opinion.outsider_rank is None for opinion in _opinions(judge, objects))
    both = Judge(judge.extractor, judge.probe, judge.probe)
    assert all(opinion.outsider_rank == opinion.rank for opinion in _opinions(both, objects))


def test_an_outsider_says_nothing_of_what_it_does_not_know_and_names_nothing_unasked(judge, cases):
    keep = [k for k, name in enumerate(judge.probe.classes) if name != "vase"]
    probe = judge.probe
    others = ("unicorn", *(probe.classes[k] for k in keep[1:]))
    outsider = Probe(others, probe.centre, probe.scale, probe.weights[keep], probe.bias[keep])
    known = Judge(judge.extractor, probe, outsider)
    opinions = _opinions(known, cases)
    for case, opinion in zip(cases, opinions):
        is_known = case.concept is not None and case.concept in others
        assert (opinion.outsider_rank is not None) == is_known
        assert (opinion.outsider_rank or 1) <= 2  # "unicorn" is no name of the data's


def test_an_object_that_the_probe_never_saw_is_refused(judge, cases):
    case = replace(cases[0], concept="zeppelin")
    with pytest.raises(ValueError, match="zeppelin"):
        _opinions(judge, [case])
