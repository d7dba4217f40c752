"""The judge is judged: how often it is right on real pictures, and how often it is fooled by a wrong prompt."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from retouch.data.sprites import SpritePack
from retouch.evaluate import bootstrap
from retouch.evaluate.bootstrap import Estimate
from retouch.evaluate.cases import Case
from retouch.evaluate.exemplars import composer_of
from retouch.evaluate.judge import Judge, Opinion
from retouch.evaluate.scoring import Painted, outsider_shares

F32 = NDArray[np.float32]
_PATIENCE = 20_000  # scenes looked through for objects of the held-out set


@dataclass(frozen=True, slots=True)
class Confusion:
    """An object that was asked for and another that was seen, and how often; related ones share a word."""

    asked: str
    seen: str
    count: int
    is_related: bool


def wrong_prompts(painted: Painted, judge: Judge, *, seed: int = 0) -> dict[str, Estimate]:
    """Ask of every picture whether it shows what another case asked for: how often the judge says yes by chance.

    Returns:
        `object_top1`, `object_top5` and `colour`, as `scoring.score` names them.
    """
    rows = [k for k, case in enumerate(painted.cases) if case.concept is not None]
    cases = swapped([painted.cases[k] for k in rows], seed=seed)
    opinions = judge.opinions(painted.features[rows], [painted.pictures[k] for k in rows], cases)
    colours = [opinion.is_asked_colour for opinion in opinions if opinion.is_asked_colour is not None]
    return {
        "object_top1": bootstrap.share([opinion.is_asked_object for opinion in opinions]),
        "object_top5": bootstrap.share([opinion.is_near for opinion in opinions]),
        "colour": bootstrap.share(colours),
    }


def outsider_worth(
    outsiders: Path, data: Path, judge: Judge, *, size: int, count: int, seed: int = 0
) -> dict[str, Estimate]:
    """Show the outsider the objects of the one icon set that it did not learn from, composed like all others.

    Returns:
        `outsider_top1` and `outsider_top5`.
    """
    composer = composer_of(data, outsiders, size=size, split="validation")
    held = {str(row["concept"]) for row in SpritePack.open(outsiders).records if row["split"] == "validation"}
    rng = np.random.default_rng([seed, 7])
    scenes = (composer.scene(rng) for _ in range(_PATIENCE))
    wanted = held.intersection(judge.probe.classes)
    shown = list(islice((scene for scene in scenes if scene.concept in wanted), count))
    cases = [
        Case(k, scene.caption, scene.image, scene.mask, 0, "own colour", concept=scene.concept)
        for k, scene in enumerate(shown)
    ]
    pictures = [case.truth for case in cases]
    opinions = judge.opinions(judge.features(pictures, cases), pictures, cases)
    return outsider_shares(opinions)


def swapped(cases: Sequence[Case], *, seed: int = 0) -> list[Case]:
    """Give every case an object and, where it has one, a colour of other cases, never its own."""
    rng = np.random.default_rng(seed)
    concepts = [case.concept for case in cases]
    colours = [case.colour for case in cases if case.colour is not None]
    return [
        replace(case, concept=_other(rng, concepts, case.concept), colour=_other(rng, colours, case.colour))
        for case in cases
    ]


def confusions(cases: Sequence[Case], opinions: Sequence[Opinion], *, limit: int = 20) -> list[Confusion]:
    """Return the commonest pairs of asked and seen objects, commonest first."""
    pairs = Counter(
        (case.concept, opinion.objects[0])
        for case, opinion in zip(cases, opinions, strict=True)
        if case.concept is not None and not opinion.is_asked_object
    )
    return [
        Confusion(asked, seen, count, is_related=bool(set(asked.split()) & set(seen.split())))
        for (asked, seen), count in pairs.most_common(limit)
    ]


def _other(rng: np.random.Generator, pool: Sequence[str | None], own: str | None) -> str | None:
    """Draw from the pool what is not one's own; a case that asks for none stays without."""
    others = [name for name in pool if name != own]
    return others[int(rng.integers(len(others)))] if own is not None and others else own
