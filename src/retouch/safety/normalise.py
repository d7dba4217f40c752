"""Text as it is read, not as it is spelled: words of plain letters, whatever alphabet or marks disguise them.

Three general rules do the work. Unicode's own names and decompositions say which letter a Latin character is in
any form: small capitals, squared, circled, with strokes or without dots. `lookalikes.tsv` says which characters of
other scripts look like one. And whatever is neither letter nor digit is a mark that may stand inside a word.
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

_MARK = "\x00"
_SYMBOLS = "@$!|+€£"  # read as letters in words that are spelled with them
_DIGIT_LETTERS = str.maketrans("03456789@$+€£", "oeasbtbgastel")
_ONE_LIKE = ("i", "l")
_LATIN = re.compile(r"\b(?:LETTER|CAPITAL|SMALL) (?:[A-Z]+ )*?([A-Z])(?: |$)")
_CHUNK = re.compile(r"\S+")
_WORD = re.compile(r"[a-z0-9]+")


@dataclass(frozen=True, slots=True)
class Word:
    """Lower-case letters and digits; `is_glued`: only marks, no space, stand between it and the word before."""

    text: str
    is_glued: bool = False


def fold(text: str) -> str:
    """Return the words of a text, lower-case ASCII letters and digits, with one space between them."""
    return " ".join(word.text for word in _words(_letters(text)))


def readings(text: str) -> tuple[tuple[Word, ...], ...]:
    """Return the ways a text can be read: as it stands, and with digits as letters (a 1 is an i or an l)."""
    plain = _letters(text)
    spelled = (_spelled(plain, one) for one in _ONE_LIKE)
    return tuple(dict.fromkeys(tuple(_words(reading)) for reading in (plain, *spelled)))


def _spelled(letters: str, one: str) -> str:
    return _CHUNK.sub(lambda chunk: _with_letters(chunk[0], one), letters)


def _words(letters: str) -> Iterator[Word]:
    end = 0
    for match in _WORD.finditer(letters):
        is_glued = end > 0 and " " not in letters[end : match.start()]
        yield Word(match[0], is_glued)
        end = match.end()


def _letters(text: str) -> str:
    """Return lower-case letters, digits, symbols that can stand for letters, spaces, and `_MARK` for the rest."""
    return "".join(map(_letter, unicodedata.normalize("NFKD", text)))


@lru_cache(maxsize=4096)
def _letter(character: str) -> str:
    if character.isascii():
        return _ascii(character)
    if unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return ""  # accents, rings around letters and what is not seen at all
    if character.isspace() or character in _SYMBOLS:
        return " " if character.isspace() else character
    digit = unicodedata.decimal(character, None)
    if digit is not None:
        return str(digit)
    return _look_alikes().get(character) or _latin(character) or _small(character)


def _latin(character: str) -> str:
    """Return the letter that a form of it is called by, or "" for what is not Latin."""
    name = unicodedata.name(character, "")
    if "LATIN" not in name and not name.startswith("REGIONAL INDICATOR"):
        return ""
    letter = _LATIN.search(name)
    return letter[1].lower() if letter else ""


def _small(character: str) -> str:
    """Return what the small letters of a character look like, or a mark."""
    known = _look_alikes()
    return "".join(known.get(small, small if small.isascii() else _MARK) for small in character.casefold())


def _ascii(character: str) -> str:
    if character.isalnum() or character in _SYMBOLS:
        return character.lower()
    return " " if character.isspace() else _MARK


@lru_cache(maxsize=1)
def _look_alikes() -> dict[str, str]:
    lines = (files("retouch.safety") / "lookalikes.tsv").read_text(encoding="utf-8").splitlines()
    pairs = (line.split("\t") for line in lines if not line.startswith("#"))
    return {character: letter for letter, characters in pairs for character in characters}


def _with_letters(chunk: str, one: str) -> str:
    """Read digits and symbols as letters where they stand among letters, or alone as a spelled-out word's do."""
    if len(chunk) > 1 and not any(character.isalpha() for character in chunk):
        return chunk
    return re.sub(r"[1!|]", one, chunk).translate(_DIGIT_LETTERS)
