"""Ages below eighteen, in digits, words and abbreviations."""

import re
from collections.abc import Iterator, Sequence

from retouch.safety.normalise import Word

_WORDS = (
    "one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|seventeen"
)
_AGE = rf"(?:[1-9]|1[0-7]|{_WORDS})"
_WHO = "girl|boy|daughter|son|sister|brother|niece|nephew|student|pupil|model|virgin|she|he"
_PATTERNS = re.compile(
    rf"""\b(?:
      {_AGE}\ ?(?:yo|y\ o|y\ old|yrs?(?:\ olds?)?|years?\ of\ age|(?:year|month|week)s?\ olds?)
    | (?:aged?|age\ of|turning)\ {_AGE}
    | (?:{_WHO})\ (?:(?:of|is|at|just|only)\ )*{_AGE}(?!\ (?:a|an|the|and|with|in|or|[a-z]+s)\b)
    | (?:under|below|not\ yet|younger\ than)\ (?:18|eighteen)
    | (?:[1-9]|1[0-2])(?:st|nd|rd|th)\ grade(?:rs?)?
    | (?:first|second|third|fourth|fifth|sixth|seventh|eighth|ninth|tenth|eleventh|twelfth)\ grade(?:rs?)?
    )\b""",
    re.VERBOSE,
)


def ages_of_minors(words: Sequence[Word]) -> Iterator[str]:
    """Yield every age below eighteen that the words tell: `aged 12`, `12yr`, `sixteen years old`."""
    text = " ".join(word.text for word in words)
    return (match[0] for match in _PATTERNS.finditer(text))
