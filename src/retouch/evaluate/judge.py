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
        outsider_rank: place of the asked object for the outsider; None where it does not know the object.
    """

    objects: tuple[str, ...]
    probability: float
    rank: int | None
    colour: ColourReading | None
    is_asked_colour: bool | None
    outsider_rank: int | None = None

    @property
    def is_asked_object(self) -> bool:
        return self.rank == 1

    @property
    def is_near(self) -> bool:
        """Whether the asked object is among the five likeliest."""
        return self.rank is not None and self.rank <= 5


class Judge:
    """Reads crops with a feature extractor and a probe; it never sees the prompt before it has an opinion.

    Args:
        extractor: its eyes.
        probe: learnt from composites of the data's own sprites: it knows what a lookup would paste.
        outsider: learnt from drawings by other hands, so that what it names is the thing and not the sprite.
    """

    def __init__(self, extractor: FeatureExtractor, probe: Probe, outsider: Probe | None = None) -> None:
        self.extractor = extractor
        self.probe = probe
        self.outsider = outsider

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
        others = self._outsider_rankings(features)
        rows = zip(rankings, others, probabilities, pictures, cases, strict=True)
        return [
            _opinion(ranking, row, picture, case, _rank(case, other))
            for ranking, other, row, picture, case in rows
        ]

    def _outsider_rankings(self, features: F32) -> list[tuple[str, ...]]:
        """Rank the names that both probes know, so that the choice is no wider than the probe's own."""
        if self.outsider is None:
            return [()] * len(features)
        rankings = self.outsider.ranking(features)
        return [tuple(name for name in ranking if name in self.probe.classes) for ranking in rankings]


def _opinion(
    ranking: tuple[str, ...], probabilities: F32, picture: U8, case: Case, outsider_rank: int | None
) -> Opinion:
    rank = _rank(case, ranking)
    if case.concept is not None and rank is None:
        raise ValueError(f"the probe does not know {case.concept!r}: it was trained on other data")
    reading = read_colour(picture, case.mask) if case.colour is not None else None
    return Opinion(
        objects=ranking[:5],
        probability=float(probabilities.max()),
        rank=rank,
        colour=reading,
        is_asked_colour=None if reading is None else reading.word == case.colour,
        outsider_rank=outsider_rank,
    )


def _rank(case: Case, ranking: tuple[str, ...]) -> int | None:
    """Return the asked object's place from 1, None where none is asked or it is not among the names."""
    return ranking.index(case.concept) + 1 if case.concept in ranking else None
