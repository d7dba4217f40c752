"""The standard set: what a painter is asked to paint, and where."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from retouch.data.compose import Scene, SceneComposer, Split
from retouch.data.sprites import SpritePack
from retouch.errors import BadInput
from retouch.evaluate.colour_judge import is_neutral
from retouch.evaluate.holes import HOLES
from retouch.evaluate.metrics import mask_box
from retouch.evaluate.photographs import REMOVAL_PROMPT, photograph_crop

U8 = NDArray[np.uint8]
Mask = NDArray[np.bool_]
_Sample = TypeVar("_Sample", np.uint8, np.bool_)
Group = Literal["held-out", "own colour", "seen", "background", "photograph"]

HOLE_GREY = 127
_NEW_ROUND = 150  # scenes passed over in a row, after which every object may come again
_PATIENCE = 5_000
_PHOTOGRAPH_ROW = 4  # of the groups' random streams
GROUPS: dict[Group, str] = {
    "held-out": "a pair of object and colour that training never shows, over a place that it never shows",
    "own colour": "no colour asked; a place that training never shows",
    "seen": "pairs and places that training shows",
    "background": "no object: continue a place that training never shows, and which is known",
    "photograph": "no object: continue crops of scikit-image's photographs, under holes of eight shapes",
}


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """One picture to repaint.

    Attributes:
        number: position in the set.
        prompt: what the hole shall show.
        truth: (H, W, 3) the real composite; painters are shown `visible` instead.
        mask: (H, W), True = repaint; it wholly holds the object.
        seed: for the painter's noise.
        group: what is new about it, see `GROUPS`.
        concept: the object asked for; None for a background.
        colour: the colour word asked for, if any.
        place: what the surroundings show.
        is_new_sprite: the truth's object is one that training never shows.
    """

    number: int
    prompt: str
    truth: U8
    mask: Mask
    seed: int
    group: Group
    concept: str | None = None
    colour: str | None = None
    place: str | None = None
    is_new_sprite: bool = False

    @property
    def visible(self) -> U8:
        """The picture with the hole in flat grey: nothing of the truth shines through."""
        picture = self.truth.copy()
        picture[self.mask] = HOLE_GREY
        return picture

    @property
    def is_whole(self) -> bool:
        return bool(self.mask.all())

    def crop(self, picture: NDArray[_Sample]) -> NDArray[_Sample]:
        """Return the part of a picture that the mask's bounding box holds."""
        left, top, right, bottom = mask_box(self.mask)
        return picture[top:bottom, left:right]


@dataclass(frozen=True, slots=True)
class Quota:
    """How many cases of each group, and the share of masks over the whole picture among objects."""

    held_out: int = 200
    own_colour: int = 40
    seen: int = 40
    background: int = 40
    whole_share: float = 0.2
    photograph: int = 0

    @classmethod
    def of(cls, count: int) -> "Quota":
        """Return `count` held-out cases, half as many of either kind of removal, a fifth of every other group."""
        fifth, half = count // 5, count // 2
        return cls(held_out=count, own_colour=fifth, seen=fifth, background=half, photograph=half)

    @classmethod
    def quick(cls, count: int) -> "Quota":
        """Split `count` cases: six in ten held out, two own colours, two seen, no background."""
        side = count // 5
        return cls(held_out=count - 2 * side, own_colour=side, seen=side, background=0)


def standard_set(
    data_dir: Path, quota: Quota, *, size: int = 128, seed: int = 0, words: frozenset[str] | None = None
) -> list[Case]:
    """Draw the cases of a data folder; the same folder, quota, size and seed give the same cases.

    Objects follow one another through the vocabulary, so that every one is asked for about equally often.
    Colours are asked for only where the surroundings are neutral enough to judge them, and with `words` only
    objects that they can name.
    """
    held_names = _names_with_held_sprites(data_dir)
    plan: list[tuple[Group, Split, int]] = [
        ("held-out", "validation", quota.held_out),
        ("own colour", "validation", quota.own_colour),
        ("seen", "train", quota.seen),
        ("background", "validation", quota.background),
    ]
    composers = {
        split: SceneComposer.open(data_dir, size=size, split=split, words=words)
        for split in {split for _, split, _ in plan}
    }
    cases: list[Case] = []
    for row, (group, split, count) in enumerate(plan):
        rng = np.random.default_rng([seed, row])
        for scene in _draw(composers[split], group, count, rng, quota.whole_share):
            is_new = split == "validation" and scene.concept in held_names
            cases.append(replace(_case(scene, group, seed, len(cases)), is_new_sprite=is_new))
    return cases + _photographs(quota.photograph, size, seed, first=len(cases))


def _draw(
    composer: SceneComposer, group: Group, count: int, rng: np.random.Generator, whole_share: float
) -> Iterator[Scene]:
    """Yield scenes of a group, each object about once before any comes twice.

    Raises:
        BadInput: the data folder has no scene of this kind.
    """
    seen: set[str] = set()
    whole_left = round(whole_share * count)
    given, passed_over = 0, 0
    while given < count:
        scene = composer.scene(rng)
        passed_over += 1
        if passed_over > _PATIENCE:
            raise BadInput(
                f"the data has no scenes of the group {group!r}", hint="build it with `retouch data build`"
            )
        if passed_over % _NEW_ROUND == 0:  # the objects that are missing cannot come in this group
            seen.clear()
        if not _belongs(scene, group) or scene.concept in seen or (scene.mask.all() and whole_left == 0):
            continue
        whole_left -= bool(scene.mask.all())
        given, passed_over = given + 1, 0
        if scene.concept is not None:
            seen.add(scene.concept)
        yield scene


def _belongs(scene: Scene, group: Group) -> bool:
    if group == "background":
        return scene.concept is None
    if scene.concept is None:
        return False
    if group == "own colour":
        return scene.colour is None
    return scene.colour is not None and is_neutral(scene.image, scene.mask)


def _case(scene: Scene, group: Group, seed: int, number: int) -> Case:
    return Case(
        number=number,
        prompt=scene.caption,
        truth=scene.image,
        mask=scene.mask,
        seed=(seed * 100_003 + number) % 2**32,
        group=group,
        concept=scene.concept,
        colour=scene.colour,
        place=scene.place,
    )


def _photographs(count: int, size: int, seed: int, *, first: int) -> list[Case]:
    """Return removals from photographs; holes of the eight shapes and pictures follow one another."""
    kinds = list(HOLES.values())
    cases = []
    for k in range(count):
        rng = np.random.default_rng([seed, _PHOTOGRAPH_ROW, k])
        truth = photograph_crop(k, size, rng)
        mask = kinds[k % len(kinds)](rng, (size, size))
        noise = (seed * 100_003 + first + k) % 2**32
        cases.append(Case(first + k, REMOVAL_PROMPT, truth, mask, noise, group="photograph"))
    return cases


def _names_with_held_sprites(data_dir: Path) -> frozenset[str]:
    records = SpritePack.open(data_dir).records
    return frozenset(str(record["concept"]) for record in records if record.get("split") == "validation")


def rows_by_group(cases: Sequence[Case]) -> dict[str, list[int]]:
    """Return the positions of the cases in each group, and in finer cuts through all objects.

    A mask in the object's own shape tells its outline to any painter, a box tells nothing: scores apart.
    """
    rows: dict[str, list[int]] = {"objects": [], **{group: [] for group in GROUPS}}
    rows |= {"new sprite": [], "mask: box": [], "mask: shaped": [], "mask: whole picture": []}
    for k, case in enumerate(cases):
        rows[case.group].append(k)
        if case.concept is None:
            continue
        rows["objects"].append(k)
        rows[f"mask: {_mask_kind(case)}"].append(k)
        if case.is_new_sprite:
            rows["new sprite"].append(k)
    return {name: found for name, found in rows.items() if found}


def _mask_kind(case: Case) -> str:
    if case.is_whole:
        return "whole picture"
    return "box" if case.crop(case.mask).all() else "shaped"
