"""A checker with which a test can place something unsafe."""

from collections.abc import Sequence

import numpy as np

from retouch.imaging.picture import Picture
from retouch.safety.checkers import ViewChecker
from retouch.safety.views import Exhibit

RED = (255, 0, 0)


class RedChecker(ViewChecker):
    """Flags views of which more than a tenth is red: it has to be large enough, as for real checkers."""

    name, version, threshold, near = "red", "1", 0.1, 0.04

    def scores(self, views: Sequence[np.ndarray]) -> list[float]:
        return [float(((view[..., 0].astype(int) - view[..., 1]) > 100).mean()) for view in views]


def grey(height: int = 64, width: int = 64, level: int = 90) -> np.ndarray:
    return np.full((height, width, 3), level, np.uint8)


def exhibit(pixels: np.ndarray, repainted: np.ndarray | None = None, alpha: np.ndarray | None = None) -> Exhibit:
    return Exhibit(Picture(pixels, alpha=alpha), repainted)
