from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.data_factories import make_data
from tests.factories import make_checkpoint

from retouch.evaluate.cases import Case, Quota, standard_set
from retouch.evaluate.exemplars import ProbeRecipe, trained_probe
from retouch.evaluate.judge import Judge


class Thumbnails:
    """A small real feature extractor: where the crop's lightness changes, on a grid of 12 x 12."""

    name = "thumbnails"
    width = 12 * 12 * 2

    def extract(self, pictures: Sequence[np.ndarray]) -> np.ndarray:
        return np.array([self._one(picture) for picture in pictures], np.float32).reshape(-1, self.width)

    def _one(self, picture: np.ndarray) -> np.ndarray:
        grey = np.asarray(Image.fromarray(picture).convert("L").resize((48, 48)), np.float32)
        steps = np.abs(np.stack(np.gradient(grey)))  # (2, 48, 48)
        return np.log1p(steps.reshape(2, 12, 4, 12, 4).mean(axis=(2, 4))).ravel()


@pytest.fixture(scope="session")
def data_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_data(tmp_path_factory.mktemp("pocket-data"))


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny random checkpoint; its native size is 32 px."""
    return make_checkpoint(tmp_path_factory.mktemp("checkpoint"), max_tokens=77)


@pytest.fixture(scope="session")
def cases(data_folder: Path) -> list[Case]:
    """Sixteen cases of 32 px, four of each group."""
    return standard_set(data_folder, Quota(4, 4, 4, 4, whole_share=0.25), size=32)


@pytest.fixture(scope="session")
def judge(data_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Judge:
    """A judge of the tiny data, with eyes that are quick."""
    recipe = ProbeRecipe(per_concept=60, size=32)
    cache = tmp_path_factory.mktemp("probes")
    return Judge(Thumbnails(), trained_probe(data_folder, Thumbnails(), recipe=recipe, cache_dir=cache))


@pytest.fixture
def thumbnails() -> Thumbnails:
    return Thumbnails()
