"""The rows of phases, opened from the recipe."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image

from retouch.train.config import DataConfig, TrainConfig
from retouch.train.pool import LatentPool
from retouch.train.run import RunOptions, start
from retouch.train.sources import Sources
from retouch.train.split import split_folder
from retouch.train.stream import PictureStream


@contextmanager
def opened(recipe: dict[str, Any], folder: Path) -> Iterator[tuple[Any, Any, Sources]]:
    config = TrainConfig.model_validate(recipe)
    trainer, parts = start(RunOptions(config=config, run_dir=folder / "run", cpu=True))
    with Sources(config, parts, trainer.accelerator) as sources:
        first = sources.open(trainer)
        trainer.position.phase = 1
        yield first, sources.open(trainer), sources


def readers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "retouch-incoming"]


def test_phases_that_read_the_same_share_one_pool(recipe: dict[str, Any], data_dir: Path, tmp_path: Path) -> None:
    pool = {"slots": 4, "ready": 2, "workers": 1}
    for phase in recipe["phases"]:
        phase["data"] = {"kind": "scenes", "folder": str(data_dir), "size": 32, "pool": pool}
    with opened(recipe, tmp_path) as (first, second, _):
        assert isinstance(first, LatentPool)
        assert first is second
        assert [thread.is_alive() for thread in readers()] == [True]
    assert readers() == []


def test_each_phase_has_a_stream_of_its_own(recipe: dict[str, Any], data_dir: Path, tmp_path: Path) -> None:
    for phase in recipe["phases"]:
        phase["data"] = {"kind": "scenes", "folder": str(data_dir), "size": 32, "workers": 0}
    config = TrainConfig.model_validate(recipe)
    with opened(recipe, tmp_path) as (first, second, sources):
        assert isinstance(first, PictureStream)
        assert first is not second
        assert sources.describe(config.phases[0])["data.folder"] == str(data_dir.resolve())


def test_a_folder_is_known_by_its_pictures_wherever_it_is(tmp_path: Path) -> None:
    for place in ("here", "there", "other"):
        (tmp_path / place).mkdir()
        for number in range(2):
            picture = Image.new("RGB", (64, 64), (number, 0, 0) if place != "other" else (number, 99, 123))
            picture.save(tmp_path / place / f"{number}.png")
            caption = "a cup" if place != "other" else "a hat"
            (tmp_path / place / f"{number}.txt").write_text(caption)
    digests = [
        split_folder(DataConfig(kind="folder", folder=tmp_path / place)).digest
        for place in ("here", "there", "other")
    ]
    assert digests[0] == digests[1] != digests[2]
