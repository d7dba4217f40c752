"""Two scales, one threshold."""

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.safety.azure.service import analysis

from retouch.safety.azure.answers import SEVERITIES, UnreadableAnswer, hits_blocklist, severities_of, threshold_on
from retouch.safety.azure.settings import CATEGORIES


def test_each_threshold_can_be_reached_on_both_scales_and_zero_never_reaches_it() -> None:
    for threshold in range(1, 8):
        for levels in (4, 8):
            lowest = threshold_on(levels, threshold)
            assert lowest in SEVERITIES[levels]
            assert lowest > 0


def test_four_levels_refuse_all_that_eight_would_refuse_but_the_faintest() -> None:
    """A severity of eight levels is reported as the even one at or below it."""
    for threshold in range(2, 8):
        for severity in range(threshold, 8):
            assert severity - severity % 2 >= threshold_on(4, threshold)


def test_severities_are_read_by_category() -> None:
    answer = {"categoriesAnalysis": analysis({"Hate": 6, "Violence": 2})}
    assert severities_of(answer, 4) == {"Hate": 6, "SelfHarm": 0, "Sexual": 0, "Violence": 2}


def test_a_severity_of_the_other_scale_is_none() -> None:
    answer = {"categoriesAnalysis": analysis({"Hate": 5})}
    assert severities_of(answer, 8)["Hate"] == 5
    with pytest.raises(UnreadableAnswer):
        severities_of(answer, 4)


@pytest.mark.parametrize(
    ("matches", "hit"), [({}, False), ({"blocklistsMatch": None}, False), ({"blocklistsMatch": []}, False)]
)
def test_no_match_is_told_in_several_ways(matches: dict[str, object], hit: bool) -> None:
    assert hits_blocklist(matches) is hit
    assert hits_blocklist({"blocklistsMatch": [{"blocklistName": "b"}]})


TEXTS = st.sampled_from([*CATEGORIES, "", "severity"])
SCALARS = st.none() | st.booleans() | st.integers(-9, 9) | st.floats() | TEXTS
KEYS = st.sampled_from(["categoriesAnalysis", "category", "severity", "blocklistsMatch", "x"])
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=5) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=20
)


@settings(max_examples=1000, deadline=None)
@given(JSON)
def test_whatever_comes_is_whole_or_no_answer(answer: object) -> None:
    for read in (lambda: severities_of(answer, 4), lambda: severities_of({"categoriesAnalysis": answer}, 8)):
        with suppress(UnreadableAnswer):
            assert read().keys() == CATEGORIES.keys()
    with suppress(UnreadableAnswer):
        hits_blocklist(answer)
