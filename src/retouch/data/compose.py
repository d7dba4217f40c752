"""Scenes for training and evaluation: an object in a place, a mask over it, a caption."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from retouch.data import backgrounds, masks, sprites
from retouch.data.backgrounds import Background, BackgroundPool
from retouch.data.captions import STYLES, Naming, describe, describe_place, pick, say_variant
from retouch.data.colour import COLOURS
from retouch.data.drawing import blend, cut_ground, place_object, repaint_ground, to_bytes
from retouch.data.look import Look
from retouch.data.mixture import MIXTURES, PLAIN, Mixture
from retouch.data.sprites import Sprite, SpritePack
from retouch.data.vocabulary import COLOUR_WORDS, PLACES, VARIANTS, Concept, concepts, other_pictures
from retouch.errors import BadInput

U8 = NDArray[np.uint8]
F32 = NDArray[np.float32]
Rng = np.random.Generator
Split = Literal["train", "validation"]
Tier = Literal["core", "full"]

HELD_OUT_PERCENT = 8
MIDDLE_SHADE = 4
FIRST_PICTURES = 0.5
"""Share of the scenes that show a concept's first picture, where captions tell its pictures apart: it is what is
shown to half of the seeds, and to whoever asks for no seed's choice."""


@dataclass(frozen=True, slots=True)
class Scene:
    """One example.

    `image` (H, W, 3) bytes; `mask` (H, W), True = repaint; `object_alpha` (H, W) bytes, the
    object's opacity; `box` its (left, top, right, bottom). Without an object `concept`, `colour`
    and `box` are None; `colour` is None as well where the object keeps its own. Where the caption
    names another object than is shown, both are None, and `portrait` (H, W, 3) shows it by itself.
    """

    image: U8
    mask: NDArray[np.bool_]
    caption: str
    concept: str | None
    colour: str | None
    place: str | None
    box: tuple[int, int, int, int] | None
    object_alpha: U8
    portrait: U8 | None = None


def is_held_out(concept: str, colour: str) -> bool:
    """Whether a concept in this colour is for validation alone: training never shows the two together."""
    digest = hashlib.sha256(f"{concept}|{colour}".encode()).digest()
    return int.from_bytes(digest[:4], "big") % 100 < HELD_OUT_PERCENT


class SceneComposer:
    """Composes scenes from packed sprites and backgrounds; every draw comes from the caller's rng."""

    def __init__(
        self,
        pack: SpritePack,
        pool: BackgroundPool,
        *,
        size: int = 128,
        split: Split = "train",
        tier: Tier = "core",
        mixture: Mixture = MIXTURES["full"],
        words: frozenset[str] | None = None,
    ) -> None:
        self.size = size
        self.split = split
        self.mixture = mixture
        self._pack, self._backgrounds = pack, pool
        self._sprites = pack.by_concept(split)
        self._places = pool.of_split(split)
        self._others = {(o.concept, o.word): o.sprite for o in other_pictures()}
        self.concepts: tuple[Concept, ...] = tuple(
            concept
            for concept in concepts()
            if concept.name in self._sprites
            and (tier == "full" or concept.tier == "core")
            and (words is None or words.issuperset(" ".join(concept.names).split()))
        )
        self._shown = tuple(concept for concept in concepts() if concept.name in self._sprites)

    @classmethod
    def open(
        cls,
        folder: Path | str,
        *,
        size: int = 128,
        split: Split = "train",
        tier: Tier = "core",
        mixture: Mixture = MIXTURES["full"],
        words: frozenset[str] | None = None,
    ) -> SceneComposer:
        """Open a data folder made by `retouch data build`; with `words`, only concepts that they can name.

        Raises:
            BadInput: there is none.
        """
        path = Path(folder)
        if not (path / sprites.FILE_NAME).is_file() or not (path / backgrounds.FILE_NAME).is_file():
            raise BadInput(f"{path} holds no training data", hint=f"retouch data build pocket --out {path}")
        return cls(
            SpritePack.open(path),
            BackgroundPool.open(path),
            size=size,
            split=split,
            tier=tier,
            mixture=mixture,
            words=words,
        )

    def scene(self, rng: Rng) -> Scene:
        """Compose one scene."""
        background = self._background(rng)
        ground = cut_ground(rng, background.pixels, self.size)
        if rng.random() < self.mixture.repainted:
            ground = repaint_ground(rng, ground)
        draw = rng.random()
        if draw >= self.mixture.around_object + self.mixture.full_mask:
            return self._empty_scene(rng, ground, background)
        return self._object_scene(rng, ground, background, is_full=draw >= self.mixture.around_object)

    def pictures(self, concept: Concept) -> dict[str, int]:
        """Return the sprite that each of `VARIANTS` stands for; where there is no other, that is the first."""
        numbers = self._sprites[concept.name]
        records = {number: self._pack.records[number] for number in numbers}
        drawings = [number for number, record in records.items() if record["kind"] == "drawn"]
        by_key = {f"{record.get('source')}:{record.get('path')}": number for number, record in records.items()}
        found = {"": numbers[0], "drawing": drawings[0] if drawings else numbers[0]}
        for word in VARIANTS:
            sprite = self._others.get((concept.name, word), "")
            found[word] = by_key.get(sprite, found.get(word, numbers[0]))
        return found

    def portrait(
        self, concept: Concept, colour: str | None, *, side: float, shade: int = 0, variant: str = ""
    ) -> tuple[U8, U8]:
        """A concept's picture, upright in the middle of plain grey, without shadow or light.

        Args:
            colour: a colour word, or None for its own.
            side: the longer side, as a share of the picture's.
            shade: which shade of the colour, 0..8.
            variant: which of its pictures, one of `VARIANTS`.

        Returns:
            (H, W, 3) bytes, and the object's opacity as (H, W) bytes.
        """
        look = Look(self._pack.sprite(self.pictures(concept)[variant]), colour)
        return self._portrait(look, side=side, shade=shade)

    def _portrait(self, look: Look, *, side: float, shade: int = MIDDLE_SHADE) -> tuple[U8, U8]:
        upright = replace(PLAIN, side=(side, side), drift=0.0)
        painted = look.painted(shade=shade)
        layer = place_object(np.random.default_rng(0), painted, self.size, upright, is_full=False)
        alpha = layer[..., 3]
        shown = layer[..., :3] + 127.5 * (1.0 - alpha[..., None].astype(np.float32) / 255)
        return to_bytes(np.asarray(shown, dtype=np.float32)), alpha

    def _background(self, rng: Rng) -> Background:
        return self._backgrounds.background(self._places[int(rng.integers(len(self._places)))])

    def _choose(self, rng: Rng) -> tuple[Concept, str | None]:
        """Choose a concept, and a colour that this split may show it in."""
        while True:
            concept = self.concepts[int(rng.integers(len(self.concepts)))]
            if not concept.is_recoloured or rng.random() >= self.mixture.recoloured:
                return concept, None
            held = self.split == "validation"
            colours = [c for c in COLOURS if is_held_out(concept.name, c) == held]
            if colours:
                return concept, colours[int(rng.integers(len(colours)))]

    def _empty_scene(self, rng: Rng, ground: F32, background: Background) -> Scene:
        size = (self.size, self.size)
        is_silent = rng.random() < self.mixture.silent
        variant = self._variant(rng)
        return Scene(
            image=to_bytes(ground),
            mask=masks.anywhere(rng, size),
            caption="" if is_silent else say_variant(describe_place(rng, background.place), variant),
            concept=None,
            colour=None,
            place=background.place.name,
            box=None,
            object_alpha=np.zeros(size, dtype=np.uint8),
        )

    def _variant(self, rng: Rng) -> str:
        if not self.mixture.told_apart or rng.random() < FIRST_PICTURES:
            return ""
        return pick(rng, VARIANTS[1:])

    def _sprite(self, rng: Rng, concept: Concept) -> Sprite:
        numbers = self._sprites[concept.name][: self.mixture.sprites]
        if self.mixture.main_style is not None:
            style = self._pack.records[numbers[0]]["kind"]
            is_main = rng.random() < self.mixture.main_style
            # A concept of one style only has that.
            numbers = [n for n in numbers if (self._pack.records[n]["kind"] == style) == is_main] or numbers
        return self._pack.sprite(numbers[int(rng.integers(len(numbers)))])

    def _unnamed(self, rng: Rng) -> Look:
        """Choose any picture: of what captions name in the colours of this split, of other things in any hue."""
        concept = self._shown[int(rng.integers(len(self._shown)))]
        numbers = self._sprites[concept.name]
        is_named = concept in self.concepts
        is_held = self.split == "validation"
        colours = [c for c in COLOURS if not is_named or is_held_out(concept.name, c) == is_held]
        is_recoloured = concept.is_recoloured and bool(colours) and rng.random() < self.mixture.recoloured
        return Look(
            self._pack.sprite(numbers[int(rng.integers(len(numbers)))]),
            colours[int(rng.integers(len(colours)))] if is_recoloured else None,
            is_mirrored=rng.random() < 0.5,
            turned=0.0 if is_named else float(rng.uniform(0.0, 2.0 * np.pi)),
        )

    def _hole(self, rng: Rng, alpha: U8) -> masks.Mask:
        if rng.random() < self.mixture.loose:
            return masks.loosely_around(rng, alpha)
        return masks.around_object(rng, alpha, float(rng.uniform(*self.mixture.margin)))

    def _object_scene(self, rng: Rng, ground: F32, background: Background, *, is_full: bool) -> Scene:
        concept, colour = self._choose(rng)
        variant = self._variant(rng)
        is_told = self.mixture.told_apart
        sprite = self._pack.sprite(self.pictures(concept)[variant]) if is_told else self._sprite(rng, concept)
        look = Look(sprite, colour)
        is_unnamed = self.mixture.unnamed > 0.0 and rng.random() < self.mixture.unnamed
        if is_unnamed:
            look = self._unnamed(rng)
        painted = look.painted(shade=int(rng.integers(0, 9)))
        layer = place_object(rng, painted, self.size, self.mixture, is_full=is_full)
        alpha = layer[..., 3]
        mask = masks.full(alpha.shape) if is_full else self._hole(rng, alpha)
        image = blend(rng, ground, layer, mask, tint=0.10 if look.colour else 0.2)
        # What is told apart is no matter of style: the word alone says which.
        naming = Naming(concept, colour, background.place, "3d" if is_told else sprite.kind, variant)
        return Scene(
            image=image,
            mask=mask,
            caption=describe(rng, naming, place_share=0.45 if is_full else 0.28),
            concept=None if is_unnamed else concept.name,
            colour=None if is_unnamed else colour,
            place=background.place.name,
            box=masks.bounding_box(alpha > 8),
            object_alpha=alpha,
            portrait=self._portrait(look, side=self.mixture.side[0])[0] if is_unnamed else None,
        )


def sample_captions(composer: SceneComposer, count: int, *, seed: int = 0) -> Iterator[str]:
    """Yield captions as training sees them, without drawing pictures; for a tokenizer."""
    rng = np.random.default_rng(seed)
    places = list(PLACES.values())
    for _ in range(count):
        place = places[int(rng.integers(len(places)))]
        if rng.random() < 0.1:
            yield describe_place(rng, place)
            continue
        concept = composer.concepts[int(rng.integers(len(composer.concepts)))]
        colour = COLOURS[int(rng.integers(len(COLOURS)))] if concept.is_recoloured else None
        yield describe(rng, Naming(concept, colour if rng.random() < 0.65 else None, place))


def all_caption_words(composer: SceneComposer) -> list[str]:
    """Return every word that the composer's captions can hold, sorted."""
    texts = [name for concept in composer.concepts for name in concept.names]
    texts += [phrase for place in PLACES.values() for phrase in place.phrases]
    texts += [word for words in COLOUR_WORDS.values() for word in words]
    texts += (*STYLES.values(), *VARIANTS)
    texts += sample_captions(composer, 20_000)
    return sorted({word for text in texts for word in text.replace(",", " ").lower().split()})
