"""The judge: says which object and which colour it sees in a hole."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retouch.evaluate.cases import Case
from retouch.evaluate.colour_judge import ColourReading, read_colour
from retouch.evaluate.features import FeatureExtractor
from retouch.evaluate.probe import Probe

U8 = NDArray[np.uint8]
F32 = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Opinion:
    """What the judge sees in one hole.

    Attributes:
        objects: the five likeliest names, likeliest first.
        probability: of the first.
        rank: place of the asked object among all names, from 1; None where no object was asked.
        colour: the colour read in the hole; None where no colour was asked.
        is_asked_colour: whether its word is the asked one; None where no colour was asked.
    """

    objects: tuple[str, ...]
    probability: float
    rank: int | None
    colour: ColourReading | None
    is_asked_colour: bool | None

    @property
    def is_asked_object(self) -> bool:
        return self.rank == 1

    @property
    def is_near(self) -> bool:
        """Whether the asked object is among the five likeliest."""
        return self.rank is not None and self.rank <= 5


class Judge:
    """Reads crops with a feature extractor and a probe; it never sees the prompt before it has an opinion."""

    def __init__(self, extractor: FeatureExtractor, probe: Probe) -> None:
        self.extractor = extractor
        self.probe = probe

    def features(self, pictures: Sequence[U8], cases: Sequence[Case]) -> F32:
        """Return features (N, D) of each picture's hole, as cut out by its case."""
        return self.extractor.extract([case.crop(p) for p, case in zip(pictures, cases, strict=True)])

    def opinions(self, features: F32, pictures: Sequence[U8], cases: Sequence[Case]) -> list[Opinion]:
        """Return an opinion on each hole.

        Raises:
            ValueError: a case asks for an object that the probe does not know.
        """
        probabilities = self.probe.probabilities(features)
        rankings = self.probe.ranking(features)
        rows = zip(rankings, probabilities, pictures, cases, strict=True)
        return [_opinion(ranking, row, picture, case) for ranking, row, picture, case in rows]


def _opinion(ranking: tuple[str, ...], probabilities: F32, picture: U8, case: Case) -> Opinion:
    rank = None
    if case.concept is not None:
        if case.concept not in ranking:
            raise ValueError(f"the probe does not know {case.concept!r}: it was trained on other data")
        rank = ranking.index(case.concept) + 1
    reading = read_colour(picture, case.mask) if case.colour is not None else None
    return Opinion(
        objects=ranking[:5],
        probability=float(probabilities.max()),
        rank=rank,
        colour=reading,
        is_asked_colour=None if reading is None else reading.word == case.colour,
    )
