"""Scenes for training and evaluation: an object in a place, a mask over it, a caption."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from retouch.data import backgrounds, masks, sprites
from retouch.data.backgrounds import Background, BackgroundPool
from retouch.data.captions import Naming, describe, describe_place
from retouch.data.colour import COLOURS
from retouch.data.sprites import SpritePack
from retouch.data.vocabulary import COLOUR_WORDS, PLACES, Concept, concepts
from retouch.errors import BadInput

U8 = NDArray[np.uint8]
F32 = NDArray[np.float32]
Rng = np.random.Generator
Split = Literal["train", "validation"]
Tier = Literal["core", "full"]

HELD_OUT_PERCENT = 8


@dataclass(frozen=True, slots=True)
class Scene:
    """One example.

    `image` (H, W, 3) bytes; `mask` (H, W), True = repaint; `object_alpha` (H, W) bytes, the
    object's opacity; `box` its (left, top, right, bottom). Without an object `concept`, `colour`
    and `box` are None; `colour` is None as well where the object keeps its own.
    """

    image: U8
    mask: NDArray[np.bool_]
    caption: str
    concept: str | None
    colour: str | None
    place: str | None
    box: tuple[int, int, int, int] | None
    object_alpha: U8


@dataclass(frozen=True, slots=True)
class Mixture:
    """What scenes are made of.

    Attributes:
        around_object, full_mask: shares of the kinds of example; the rest is background only.
        recoloured, mirrored: shares of the objects.
        turn_deg: deviation of their angle.
        sprites: how many pictures of a concept are used; None is all.
        side: longer side of an object, as a share of the picture's.
        drift: how far objects stray from the middle, as a share of the room there is.
        margin: room of the hole around its object, as a share of the object's longer side.
    """

    around_object: float = 0.65
    full_mask: float = 0.25
    recoloured: float = 0.65
    mirrored: float = 0.5
    turn_deg: float = 4.0
    sprites: int | None = None
    side: tuple[float, float] = (0.35, 0.85)
    drift: float = 0.96
    margin: tuple[float, float] = (0.04, 0.13)


MixtureName = Literal["full", "plain", "centred"]

_PLAIN = Mixture(
    around_object=0.82, full_mask=0.12, mirrored=0.0, turn_deg=0.0, sprites=1, side=(0.58, 0.85), drift=0.8
)
MIXTURES: dict[MixtureName, Mixture] = {
    "full": Mixture(),
    "plain": _PLAIN,
    "centred": replace(_PLAIN, side=(0.66, 0.66), drift=0.0, margin=(0.03, 0.09)),
}
"""`plain` has one upright picture of each concept, about as large as a crop around its hole shows it; `centred`
has it in the middle, at one size, as a crop around the hole and its context shows it (`plan_region`).

A convolution knows where it is by the picture's border alone: a shape that may stand anywhere, in any size,
takes it many times as long to learn.
"""


def is_held_out(concept: str, colour: str, group: str) -> bool:
    """Whether a combination of concept, colour, group of places is for validation alone."""
    digest = hashlib.sha256(f"{concept}|{colour}|{group}".encode()).digest()
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
        mixture: Mixture = Mixture(),
    ) -> None:
        self.size = size
        self.split = split
        self.mixture = mixture
        self._pack, self._backgrounds = pack, pool
        self._sprites = pack.by_concept(split)
        self._places = pool.of_split(split)
        self.concepts: tuple[Concept, ...] = tuple(
            concept
            for concept in concepts()
            if concept.name in self._sprites and (tier == "full" or concept.tier == "core")
        )

    @classmethod
    def open(
        cls,
        folder: Path | str,
        *,
        size: int = 128,
        split: Split = "train",
        tier: Tier = "core",
        mixture: Mixture = Mixture(),
    ) -> SceneComposer:
        """Open a data folder made by `retouch data build`.

        Raises:
            BadInput: there is none.
        """
        path = Path(folder)
        if not (path / sprites.FILE_NAME).is_file() or not (path / backgrounds.FILE_NAME).is_file():
            raise BadInput(f"{path} holds no training data", hint=f"retouch data build pocket --out {path}")
        return cls(
            SpritePack.open(path), BackgroundPool.open(path), size=size, split=split, tier=tier, mixture=mixture
        )

    def scene(self, rng: Rng) -> Scene:
        """Compose one scene."""
        background = self._background(rng)
        ground = _crop(rng, background.pixels, self.size)
        draw = rng.random()
        if draw >= self.mixture.around_object + self.mixture.full_mask:
            return self._empty_scene(rng, ground, background)
        return self._object_scene(rng, ground, background, is_full=draw >= self.mixture.around_object)

    def portrait(self, concept: Concept, colour: str | None, *, side: float, variant: int = 0) -> tuple[U8, U8]:
        """A concept's first picture, upright in the middle of plain grey, without shadow or light.

        Args:
            colour: a colour word, or None for its own.
            side: the longer side, as a share of the picture's.
            variant: which shade of the colour, 0..8.

        Returns:
            (H, W, 3) bytes, and the object's opacity as (H, W) bytes.
        """
        sprite = self._pack.sprite(self._sprites[concept.name][0])
        upright = replace(_PLAIN, side=(side, side), drift=0.0)
        layer = _place(
            np.random.default_rng(0), sprite.painted(colour, variant=variant), self.size, upright, is_full=False
        )
        alpha = layer[..., 3]
        shown = layer[..., :3] + 127.5 * (1.0 - alpha[..., None].astype(np.float32) / 255)
        return _bytes(np.asarray(shown, dtype=np.float32)), alpha

    def _background(self, rng: Rng) -> Background:
        return self._backgrounds.background(self._places[int(rng.integers(len(self._places)))])

    def _choose(self, rng: Rng, group: str) -> tuple[Concept, str | None]:
        """Choose a concept, and a colour that this split may show in this group of places."""
        while True:
            concept = self.concepts[int(rng.integers(len(self.concepts)))]
            if not concept.is_recoloured or rng.random() >= self.mixture.recoloured:
                return concept, None
            held = self.split == "validation"
            colours = [c for c in COLOURS if is_held_out(concept.name, c, group) == held]
            if colours:
                return concept, colours[int(rng.integers(len(colours)))]

    def _empty_scene(self, rng: Rng, ground: F32, background: Background) -> Scene:
        size = (self.size, self.size)
        if rng.random() < 0.5:
            mask = masks.irregular(rng, size, "medium" if rng.random() < 0.6 else "thick")
        elif rng.random() < 0.75:
            mask = masks.random_box(rng, size)
        else:
            mask = masks.random_ellipse(rng, size)
        return Scene(
            image=_bytes(ground),
            mask=mask,
            caption=describe_place(rng, background.place),
            concept=None,
            colour=None,
            place=background.place.name,
            box=None,
            object_alpha=np.zeros(size, dtype=np.uint8),
        )

    def _object_scene(self, rng: Rng, ground: F32, background: Background, *, is_full: bool) -> Scene:
        concept, colour = self._choose(rng, background.place.group)
        numbers = self._sprites[concept.name][: self.mixture.sprites]
        sprite = self._pack.sprite(numbers[int(rng.integers(len(numbers)))])
        painted = sprite.painted(colour, variant=int(rng.integers(0, 9)))
        layer = _place(rng, painted, self.size, self.mixture, is_full=is_full)
        alpha = layer[..., 3]
        mask = (
            masks.full(alpha.shape)
            if is_full
            else masks.around_object(rng, alpha, float(rng.uniform(*self.mixture.margin)))
        )
        image = _blend(rng, ground, layer, mask, tint=0.10 if colour else 0.2)
        naming = Naming(concept, colour, background.place, sprite.kind)
        return Scene(
            image=image,
            mask=mask,
            caption=describe(rng, naming, place_share=0.45 if is_full else 0.28),
            concept=concept.name,
            colour=colour,
            place=background.place.name,
            box=masks.bounding_box(alpha > 8),
            object_alpha=alpha,
        )


def _bytes(picture: F32) -> U8:
    return np.asarray(np.clip(np.rint(picture), 0, 255), dtype=np.uint8)


def _crop(rng: Rng, pixels: U8, size: int) -> F32:
    """Cut a random square (75-100 % of the side), mirror it half the time, scale it to `size`."""
    side = pixels.shape[0]
    cut = side * float(rng.uniform(0.75, 1.0))
    left, top = rng.uniform(0, side - cut, 2)
    picture = Image.fromarray(pixels[:, ::-1] if rng.random() < 0.5 else pixels)
    box = (float(left), float(top), float(left + cut), float(top + cut))
    small = picture.resize((size, size), Image.Resampling.BILINEAR, box=box, reducing_gap=None)
    light = np.float32(rng.uniform(0.88, 1.08))
    return np.asarray(np.asarray(small, dtype=np.float32) * light, dtype=np.float32)


def _place(rng: Rng, rgba: U8, size: int, mixture: Mixture, *, is_full: bool) -> U8:
    """Turn, mirror and scale a sprite, then set it into an empty (size, size, 4) layer."""
    picture = Image.fromarray(rgba[:, ::-1] if rng.random() < mixture.mirrored else rgba).convert("RGBa")
    angle = float(np.clip(rng.normal(0, mixture.turn_deg), -8, 8))
    picture = picture.rotate(angle, Image.Resampling.BILINEAR, expand=True)
    picture = picture.crop(picture.getbbox())
    share = rng.uniform(*mixture.side)
    scale = size * float(share) / max(picture.size)
    w, h = (max(4, round(side * scale)) for side in picture.size)
    small = picture.resize((w, h), Image.Resampling.BOX if scale < 0.6 else Image.Resampling.HAMMING)
    free_x, free_y = size - w, size - h
    # With nothing to see, the model cannot know where the object should be: about the middle then.
    drift = min(mixture.drift, 0.6) if is_full else mixture.drift
    x, y = (free * (0.5 + drift * float(rng.uniform(-0.5, 0.5))) for free in (free_x, free_y))
    layer = Image.new("RGBa", (size, size), (0, 0, 0, 0))
    layer.paste(small, (round(x), round(y)))
    return np.asarray(layer)


def _shadow(alpha: U8, mask: NDArray[np.bool_], strength: float) -> F32:
    """A soft contact shadow below the object, kept inside the mask: (H, W) in 0..1."""
    left, _, right, bottom = masks.bounding_box(alpha > 8)
    size = alpha.shape
    height = max(2, round((right - left) * 0.10))
    bounds = (left, bottom - height, right, bottom + height // 2 + 1)
    spot = Image.fromarray(masks.ellipse(size, bounds).astype(np.uint8) * 255)
    soft = np.asarray(spot.filter(ImageFilter.GaussianBlur(max(1.0, height * 0.4))))
    inside = Image.fromarray(mask.astype(np.uint8) * 255).filter(ImageFilter.BoxBlur(1))
    shade = soft.astype(np.float32) * np.asarray(inside, dtype=np.float32) * (strength / 255**2)
    return np.asarray(shade, dtype=np.float32)


def _blend(rng: Rng, ground: F32, layer: U8, mask: NDArray[np.bool_], *, tint: float) -> U8:
    """Lay a premultiplied layer over the ground, with a shadow and the ground's light on it."""
    alpha = layer[..., 3].astype(np.float32)[..., None] / 255
    mean = ground.mean(axis=(0, 1))
    level = float(mean.mean())
    light = 1 + tint * (mean / max(level, 1) - 1)
    bright = 1 + 0.10 * (level / 128 - 1)
    shade = _shadow(layer[..., 3], mask, float(rng.uniform(0.2, 0.5)))
    below = ground * (1 - shade[..., None])
    lit = layer[..., :3].astype(np.float32) * (light * bright)
    return _bytes(np.asarray(below * (1 - alpha) + lit, dtype=np.float32))


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
    texts += sample_captions(composer, 20_000)
    return sorted({word for text in texts for word in text.replace(",", " ").lower().split()})
