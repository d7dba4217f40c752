"""The ring that another process fills."""

from pathlib import Path

import numpy as np
import pytest

from retouch.data.compose import SceneComposer
from retouch.train.ring import RingSpec, SceneRing


@pytest.mark.slow
def test_ring_holds_the_composers_scenes_and_ends_with_its_owner(data_dir: Path, tmp_path: Path) -> None:
    spec = RingSpec(data_dir=data_dir, folder=tmp_path, size=32, slots=8, scenes_per_s=0.001)
    with SceneRing(spec) as ring:
        ring.wait_for(8)
        crops = ring.crops(np.random.default_rng(0), count=20, side=32)
        worker = ring._worker
    assert not worker.is_alive()
    composer = SceneComposer.open(data_dir, size=32, split="train")
    expected = {composer.scene(np.random.default_rng((0, number))).image.tobytes() for number in range(8)}
    assert {crop.tobytes() for crop in crops} <= expected


def test_worker_that_fails_is_reported_instead_of_waited_for(tmp_path: Path) -> None:
    spec = RingSpec(data_dir=tmp_path / "nowhere", folder=tmp_path / "ring", size=32, slots=8)
    with SceneRing(spec) as ring, pytest.raises(RuntimeError, match="exit code"):
        ring.wait_for(1)
