"""A sheet of fills over photographs that nobody chose: the seed alone draws pictures, holes and prompts."""

from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from retouch.data.captions import article
from retouch.data.colour import COLOURS
from retouch.data.vocabulary import Concept, concepts
from retouch.evaluate.cases import Case
from retouch.evaluate.holes import HOLES
from retouch.evaluate.painters import Painter
from retouch.evaluate.photographs import photograph_crop
from retouch.evaluate.sheet import outlined, strip_sheet

U8 = NDArray[np.uint8]

COLUMNS = 6
_INK = (255, 40, 140)  # of outlines: few photographs have it
_REMOVED = 2  # of the columns: nothing is asked for there, so that the ground shall go on


def showcase_cases(*, size: int, seed: int, words: Collection[str] | None = None) -> list[Case]:
    """Draw 48 holes: a row for each of eight shapes; two columns of removals, four of objects.

    Args:
        size: of the pictures, in pixels.
        seed: of everything.
        words: that a small model knows; None asks for any object of the vocabulary.
    """
    known = [concept for concept in concepts() if concept.tier == "core" and _is_known(concept, words)]
    cases = []
    for row, make in enumerate(HOLES.values()):
        for column in range(COLUMNS):
            number = row * COLUMNS + column
            rng = np.random.default_rng([seed, 5, number])
            truth = photograph_crop(int(rng.integers(1_000)), size, rng)
            mask = make(rng, (size, size))
            prompt = "" if column < _REMOVED else _prompt(rng, known)
            cases.append(Case(number, prompt, truth, mask, seed * 100_003 + number, group="photograph"))
    return cases


def showcase(painter: Painter, cases: Sequence[Case], *, side_px: int = 112) -> Image.Image:
    """Paint the cases and draw each as a pair, the outlined hole and the fill, its prompt below."""
    pairs = [_pair(case, fill, side_px) for case, fill in zip(cases, painter.paint(cases), strict=True)]
    asked = [f"“{case.prompt}”" if case.prompt else "nothing" for case in cases]
    return strip_sheet(pairs, asked, columns=COLUMNS)


def _prompt(rng: np.random.Generator, known: Sequence[Concept]) -> str:
    concept = known[int(rng.integers(len(known)))]
    if not concept.is_recoloured or rng.random() < 0.5:
        return f"{article(concept.name)} {concept.name}".strip()
    colour = COLOURS[int(rng.integers(len(COLOURS)))]
    return f"{article(colour)} {colour} {concept.name}"


def _is_known(concept: Concept, words: Collection[str] | None) -> bool:
    return words is None or set(concept.name.split()).issubset(words)


def _pair(case: Case, fill: U8, side_px: int) -> U8:
    hole = np.asarray(Image.fromarray(case.mask).resize((side_px, side_px), Image.Resampling.NEAREST))
    return np.concatenate([outlined(_small(case.truth, side_px), hole, _INK), _small(fill, side_px)], axis=1)


def _small(picture: U8, side_px: int) -> U8:
    return np.asarray(Image.fromarray(picture).resize((side_px, side_px), Image.Resampling.LANCZOS))
