"""The words of the embedded model's data: concepts, colours, places."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Literal

from retouch.data.colour import COLOURS

Styles = Literal["3d", "all"]


@dataclass(frozen=True, slots=True)
class Concept:
    """A thing that can be painted.

    `tier` is 'core' (the embedded model's own words) or 'extra'; `sprites` are 'source:name'
    keys, `synonyms` other names.
    """

    name: str
    category: str
    tier: str
    is_recoloured: bool
    synonyms: tuple[str, ...]
    sprites: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The name, then its synonyms."""
        return (self.name, *self.synonyms)


@dataclass(frozen=True, slots=True)
class MoreSprite:
    """A sprite in another style: 'drawn' or 'photo', under a licence of its own."""

    concept: str
    kind: str
    licence: str
    sprite: str


@dataclass(frozen=True, slots=True)
class OtherPicture:
    """A further picture of a concept, by the word that a caption tells it with."""

    concept: str
    word: str
    sprite: str


@dataclass(frozen=True, slots=True)
class Place:
    """A kind of background: its captions' phrases, and a coarse `group` for hold-outs."""

    name: str
    group: str
    phrases: tuple[str, ...]


PLACES: dict[str, Place] = {
    place.name: place
    for place in (
        Place("room", "indoor", ("in a room", "in an empty room", "in a living room", "indoors")),
        Place("bedroom", "indoor", ("in a bedroom", "in a hotel room", "in a room")),
        Place("corridor", "indoor", ("in a corridor", "in a hallway")),
        Place("mall", "indoor", ("in a shopping mall", "in a mall")),
        Place("hall", "indoor", ("in a hall", "in a large hall")),
        Place("laboratory", "indoor", ("in a laboratory", "in a lab")),
        Place("warehouse", "indoor", ("in a warehouse", "in a garage")),
        Place("workshop", "indoor", ("in a workshop", "in a factory")),
        Place("studio", "plain", ("in a photo studio", "in a studio")),
        Place("street", "city", ("on a street", "in a city", "on a road", "in the city")),
        Place("square", "city", ("on a square", "in an old town", "in a city")),
        Place("courtyard", "city", ("in a courtyard", "in a yard")),
        Place("waterfront", "city", ("by the sea", "on the waterfront")),
        Place("forest", "nature", ("in a forest", "in the woods", "among trees")),
        Place("park", "nature", ("in a park", "at the park", "on the grass", "on a park bench")),
        Place("garden", "nature", ("in a garden", "on a path", "in a park", "on a park bench")),
        Place("field", "nature", ("in a field", "in a meadow", "on the grass")),
        Place("desert", "nature", ("in the desert", "on rocky ground", "in the mountains")),
        Place("sky", "sky", ("in the sky", "among clouds")),
        Place("grass", "nature", ("on the grass", "on a lawn", "in the grass")),
        Place("sand", "nature", ("on the beach", "on sand", "at the beach")),
        Place("snow", "nature", ("in the snow", "on snow")),
        Place("sea", "sky", ("on the sea", "on the water", "at sea")),
        Place("brick", "plain", ("in front of a brick wall", "before a brick wall")),
        Place("wood", "indoor", ("on a wooden table", "on a table")),
        Place("tiles", "indoor", ("on a tiled floor", "on the floor")),
        Place("plain", "plain", ("on a plain background", "in front of a wall")),
        Place("concrete", "plain", ("on concrete", "in front of a stone wall", "on stone")),
        Place("boards", "plain", ("in front of a wooden wall", "in front of a wooden fence")),
        Place("cloth", "indoor", ("on a carpet", "on a cloth", "on fabric")),
        Place("evening", "sky", ("under an evening sky", "at sunset", "in the evening")),
        Place("mountains", "nature", ("in the mountains", "on a mountain", "in the alps")),
        Place("cliff", "nature", ("in a canyon", "in front of a cliff", "among rocks")),
        Place("river", "nature", ("by a river", "by a stream", "by the water")),
        Place("leaves", "nature", ("among leaves", "among branches", "in a bush")),
        Place("underwater", "nature", ("under water", "on the sea floor", "in the deep sea")),
        Place("castle", "city", ("in front of a castle", "near a castle", "in front of a palace")),
        Place("ruins", "city", ("in front of an old building", "among ruins", "in front of a temple")),
        Place("skyline", "city", ("in front of a city skyline", "above a city", "over a city")),
        Place("hills", "nature", ("in the hills", "in a valley", "on a hillside")),
        Place("lake", "nature", ("by a lake", "at a lake", "by the water")),
        Place("mist", "nature", ("in the mist", "in the fog")),
        Place("open sky", "sky", ("under a cloudy sky", "under the open sky")),
        Place("night street", "city", ("in a city at night", "on a square at night", "at night")),
    )
}
VARIANTS = ("", "drawing", "another")
"""What a caption says to tell a concept's pictures apart: nothing for the first, then a word each."""
COLOUR_WORDS: dict[str, tuple[str, ...]] = {
    **{colour: (colour,) for colour in COLOURS},
    "grey": ("grey", "gray"),
}


def parse_concepts(lines: Iterable[str]) -> tuple[Concept, ...]:
    """Read the concept table (TSV: concept, category, tier, recolour, synonyms, sprites)."""

    def words(text: str) -> tuple[str, ...]:
        return tuple(word for word in text.split(",") if word)

    return tuple(
        Concept(
            name=row["concept"],
            category=row["category"],
            tier=row["tier"],
            is_recoloured=row["recolour"] == "1",
            synonyms=words(row["synonyms"]),
            sprites=words(row["sprites"]),
        )
        for row in csv.DictReader(lines, delimiter="\t")
    )


@lru_cache(maxsize=1)
def concepts() -> tuple[Concept, ...]:
    """The shipped concepts, in the table's order."""
    return parse_concepts(_table("vocabulary.tsv"))


@lru_cache(maxsize=1)
def more_sprites() -> tuple[MoreSprite, ...]:
    """The sprites in other styles: drawings and photographs of the same concepts."""
    return tuple(MoreSprite(**row) for row in csv.DictReader(_table("more_sprites.tsv"), delimiter="\t"))


@lru_cache(maxsize=1)
def other_pictures() -> tuple[OtherPicture, ...]:
    """The pictures that differ most from a concept's first one and its first drawing, chosen by eye."""
    return tuple(OtherPicture(**row) for row in csv.DictReader(_table("variants.tsv"), delimiter="\t"))


def _table(name: str) -> list[str]:
    return files("retouch.data").joinpath(name).read_text(encoding="utf-8").splitlines()
