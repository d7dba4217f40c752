"""Text as it is read, not as it is spelled: folds case, accents, look-alike letters, digits and spacing."""

import re
import unicodedata

# Cyrillic, Greek and small-capital letters that look like Latin ones; NFKD leaves them as they are.
_LOOK_ALIKES = str.maketrans(
    "авекмнорстухѕіјԁһԛԝαβγεηικνορτυχωϲᴀʙᴄᴅᴇɢʜɪᴊᴋʟᴍɴᴏᴘʀꜱᴛᴜᴠᴡʏᴢ",
    "abekmhopctyxsijdhqwabyenikvoptuxwcabcdeghijklmnoprstuvwyz",
)
_DIGIT_LETTERS = str.maketrans("013457@$!|", "oieastasil")
_LEET = re.compile(r"(?=[a-z0-9@$!|]*[a-z])(?=[a-z0-9@$!|]*[0-9@$!|])[a-z0-9@$!|]{3,}")
_SPELLED = re.compile(r"(?<![a-z])[a-z](?:[\s._*/\-]+[a-z]){2,}(?![a-z])")
_INNER_MARKS = re.compile(r"(?<=[a-z])[._*/](?=[a-z])")
_LONG_RUNS = re.compile(r"([a-jl-wyz])\1{2,}")  # not k and x, whose triples are terms of their own
_NOT_TEXT = re.compile(r"[^a-z0-9]+")


def fold(text: str) -> str:
    """Return lower-case ASCII-like letters and digits, one space between words.

    Compatibility forms (full-width letters, ligatures), accents, invisible characters and common Cyrillic and
    Greek look-alikes are folded; `n u d e` and `n.u.d.e` become one word, three equal letters become one.
    """
    text = unicodedata.normalize("NFKD", text).casefold()
    text = "".join(character for character in text if unicodedata.category(character) not in ("Mn", "Cf"))
    text = text.translate(_LOOK_ALIKES)
    text = _SPELLED.sub(lambda match: re.sub(r"[^a-z]", "", match[0]), text)
    text = _LONG_RUNS.sub(r"\1", text)
    return _NOT_TEXT.sub(" ", text).strip()


def readings(text: str) -> tuple[str, ...]:
    """Return the ways a text can be read: as it is, with marks inside words dropped, with digits as letters."""
    plain = unicodedata.normalize("NFKD", text).casefold()
    digits = _LEET.sub(lambda match: match[0].translate(_DIGIT_LETTERS), plain)
    return tuple(dict.fromkeys(map(fold, (text, _INNER_MARKS.sub("", plain), digits))))
