"""Ways in which words are hidden from word lists, each a function from the word to its disguise."""

import unicodedata
from collections.abc import Callable

CYRILLIC = dict(zip("aceopxyisj", "асеорхуіѕј"))
LEET = dict(zip("aeiost", "431057"))
FULL_WIDTH = {chr(c): chr(c + 0xFEE0) for c in range(ord("a"), ord("z") + 1)}


def _between(mark: str) -> Callable[[str], str]:
    """Put a mark between all letters."""
    return mark.join


def _within(mark: str) -> Callable[[str], str]:
    """Put a mark into the middle of the word."""
    return lambda word: word[: len(word) // 2] + mark + word[len(word) // 2 :]


def _spelled(letters: dict[str, str]) -> Callable[[str], str]:
    return lambda word: "".join(letters.get(letter, letter) for letter in word)


def _leet(word: str) -> str:
    """Write digits for letters, but for the first: nobody reads a word that is all digits."""
    return word[0] + _spelled(LEET)(word[1:])


def _named(name: str) -> Callable[[str], str]:
    """Write the word in letters that Unicode calls by this name."""
    return lambda word: "".join(unicodedata.lookup(f"{name} {letter.upper()}") for letter in word)


DISGUISES: dict[str, Callable[[str], str]] = {
    "dots": _between("."),
    "spaces": _between(" "),
    "underscores": _between("_"),
    "hyphens": _between("-"),
    "one hyphen": _within("-"),
    "one comma": _within(","),
    "one apostrophe": _within("'"),
    "one ~": _within("~"),
    "one slash": _within("/"),
    "one emoji": _within("\N{RED APPLE}"),
    "one space": _within(" "),
    "braille blank": _within("\u2800"),
    "Hangul filler": _within("\u3164"),
    "zero width space": _within("\u200b"),
    "soft hyphen": _within("\u00ad"),
    "enclosing circles": lambda word: "".join(f"{letter}\u20dd" for letter in word),
    "accents": lambda word: "".join(f"{letter}\u0301" for letter in word),
    "full width": _spelled(FULL_WIDTH),
    "squared": _named("SQUARED LATIN CAPITAL LETTER"),
    "negative circled": _named("NEGATIVE CIRCLED LATIN CAPITAL LETTER"),
    "regional indicators": _named("REGIONAL INDICATOR SYMBOL LETTER"),
    "mathematical": _named("MATHEMATICAL FRAKTUR SMALL"),
    "doubled": lambda word: word[:2] + word[1] + word[2:],
    "all doubled": lambda word: "".join(2 * letter for letter in word),
    "dotless i": _spelled({"i": "ı"}),
    "Cyrillic": _spelled(CYRILLIC),
    "Armenian": _spelled({"o": "օ", "u": "ս", "n": "ո", "h": "հ", "g": "ց", "q": "զ"}),
    "Greek": _spelled(dict(zip("aoiknptuvxy", "αοικηρτυνχγ"))),
    "Cherokee": _spelled(dict(zip("abcdeghijklmprstvwz", "ᎪᏴᏟᎠᎬᏀᎻᎥᎫᏦᏞᎷᏢᏒᏚᎢᏙᎳᏃ"))),
    "leet": _leet,
    "leet and dots": lambda word: ".".join(_leet(word)),
    "leet and spaces": lambda word: " ".join(_leet(word)),
    "Cyrillic and dots": lambda word: ".".join(_spelled(CYRILLIC)(word)),
    "upper case": str.upper,
    "weights": lambda word: f"({word[: len(word) // 2]}:1.2)({word[len(word) // 2 :]}:1.3)",
    "weights of letters": lambda word: "".join(f"({letter}:1.{n})" for n, letter in enumerate(word)),
    "brackets": lambda word: f"(({word[: len(word) // 2]}))[{word[len(word) // 2 :]}]",
}
