"""Captions for composed scenes, from 'cat' to a sentence with colour, place, style."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from retouch.data.vocabulary import COLOUR_WORDS, Concept, Place

Rng = np.random.Generator

_SHORT = ("{thing}", "{a} {thing}", "{a} {thing}", "the {thing}")
_MEDIUM = (
    "a photo of {a} {thing}",
    "a picture of {a} {thing}",
    "an image of {a} {thing}",
    "a close-up of {a} {thing}",
    "a {style} of {a} {thing}",
    "{a} {thing}, high resolution",
    "photo of {a} {thing}, high quality",
)
_PLACED = (
    "{a} {thing} {place}",
    "{a} {thing} {place}",
    "a photo of {a} {thing} {place}",
    "a picture of {a} {thing} {place}, high resolution",
    "{place}, {a} {thing}",
    "a photo of {a} {thing} {pose} {place}, high resolution",
    "{a} {thing} {pose} {place}",
)
_PLACE_ONLY = (
    "{place}",
    "a photo taken {place}",
    "an empty place {place}",
    "the background {place}",
    "background",
    "empty background",
    "a photo {place}, high resolution",
    "nothing",
    "remove the object",
    "clean background",
)
_STYLED = (
    "a {style} of {a} {thing}",
    "{a} {thing}, {style}",
    "{style} of {a} {thing}",
    "{a} {thing}, {style}, high resolution",
)
_PLURALS = (
    *("cherries", "grapes", "trousers", "jeans", "pants", "boots"),
    *("glasses", "spectacles", "scissors", "flowers in a vase"),
)
_SUFFIXES = (", high resolution", ", high quality", ", detailed", ", photo")
_VARIED = {
    "drawing": ("a drawing of {a} {thing}", "a drawing of {a} {thing} {place}", "drawing of {a} {thing}"),
    "another": ("another {thing}", "another {thing} {place}", "a photo of another {thing}"),
}
_VARIANT_LAST = 0.6
"""Share of the captions that name a variant at their end, as a request's own words may be followed by one."""
STYLES = {"3d": "3d render", "drawn": "drawing", "photo": "photo"}
_POSES = {"animal": ("sitting", "standing", "looking at the camera")}


@dataclass(frozen=True, slots=True)
class Naming:
    """What a caption speaks of: the concept, its colour if recoloured, place, the kind of picture.

    `variant` is the word (one of `VARIANTS`) that tells the picture from others of the concept.
    """

    concept: Concept
    colour: str | None
    place: Place
    kind: str = "3d"
    variant: str = ""


def article(word: str) -> str:
    """Return 'a' or 'an' by the first letter, or nothing before a plural."""
    if word.endswith(_PLURALS) and " of " not in word:
        return ""
    return "an" if word[0] in "aeiou" and not word.startswith(("uni", "one")) else "a"


def pick(rng: Rng, options: tuple[str, ...]) -> str:
    """Choose one of several strings."""
    return options[int(rng.integers(len(options)))]


def name_thing(rng: Rng, concept: Concept, colour: str | None) -> str:
    """Return the thing with its colour: 'yellow cat', 'face of a yellow cat'."""
    synonyms = concept.synonyms
    name = pick(rng, synonyms) if synonyms and rng.random() < 0.35 else concept.name
    if colour is None:
        return name
    word = pick(rng, COLOUR_WORDS[colour])
    if " of a " in name:
        head, tail = name.split(" of a ", 1)
        return f"{head} of {article(word)} {word} {tail}"
    return f"{word} {name}"


def describe(rng: Rng, naming: Naming, *, place_share: float = 0.3) -> str:
    """Write a caption for an object; `place_share` of them name the place too."""
    thing = name_thing(rng, naming.concept, naming.colour)
    poses = _POSES.get(naming.concept.category, ("",))
    fields = {
        "a": article(thing),
        "thing": thing,
        "place": pick(rng, naming.place.phrases),
        "pose": pick(rng, poses),
        "style": STYLES[naming.kind],
    }
    if naming.variant and rng.random() >= _VARIANT_LAST:
        return " ".join(pick(rng, _VARIED[naming.variant]).format(**fields).split())
    draw = rng.random()
    if rng.random() < (0.15 if naming.kind == "3d" else 0.5):
        # A style that is said can be asked for; unsaid, it is one of several.
        template = pick(rng, _STYLED)
    elif draw < place_share:
        template = pick(rng, _PLACED)
    elif draw < place_share + 0.55 * (1 - place_share) + 0.1:
        template = pick(rng, _SHORT)
    else:
        template = pick(rng, _MEDIUM)
    if fields["place"] == "on a park bench":
        fields["pose"] = fields["pose"] or "lying"
    text = " ".join(template.format(**fields).split())
    if naming.variant:
        return say_variant(text, naming.variant)
    if " of the " in text or "high" in text or rng.random() > 0.06:
        return text
    return text + pick(rng, _SUFFIXES)


def say_variant(text: str, variant: str) -> str:
    """Return a caption that ends in the word for a variant; the first has none."""
    return f"{text}, {variant}" if variant else text


def describe_place(rng: Rng, place: Place) -> str:
    """Write a caption that names the place alone."""
    return pick(rng, _PLACE_ONLY).format(place=pick(rng, place.phrases))
