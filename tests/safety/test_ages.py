"""Ages of minors are read in digits, words and abbreviations; other numbers are not ages."""

import pytest

from retouch.safety.ages import ages_of_minors
from retouch.safety.normalise import readings


def is_minor(text: str) -> bool:
    return any(list(ages_of_minors(reading)) for reading in readings(text))


@pytest.mark.parametrize(
    "text",
    ["aged 12", "age 9", "12yr", "12 yrs old", "12yo", "12 y/o", "12-year-old", "sixteen years old",
     "at age of ten", "sixteen-year-old", "a girl of fourteen", "a boy, 15", "she is only 17", "under 18",
     "not yet eighteen",
     "a 7th grader", "a seventh-grader", "6 months old", "12 y.o.", "turning 16", "１２ years old",
     "15 years of age"],
)  # fmt: skip
def test_minors(text: str) -> None:
    assert is_minor(text)


@pytest.mark.parametrize(
    "text",
    ["aged 18", "25 years old", "a 40 year old man", "eighteen years old", "12 apples", "after 14 years",
     "a girl with 12 roses", "12 megapixels", "one apple", "a boy and two dogs", "a house of 1720",
     "f/1.8, 85 mm", "117 years old"],
)  # fmt: skip
def test_others(text: str) -> None:
    assert not is_minor(text)
