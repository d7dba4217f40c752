"""Sample grids."""

from pathlib import Path

import numpy as np
from PIL import Image

from retouch.train.config import TrainConfig
from retouch.train.run import RunOptions, start
from retouch.train.samples import draw_samples, held_out_places, make_grid


def test_samples_repeat_and_keep_their_size(config: TrainConfig, data_dir: Path, tmp_path: Path) -> None:
    _, parts = start(RunOptions(config=config, run_dir=tmp_path, cpu=True))
    places = held_out_places(data_dir, count=2, size=32)
    first, second = (draw_samples(parts, ["a red apple", "a blue car"], places, steps=2) for _ in range(2))
    assert [image.size for image in first] == [(32, 32), (32, 32)]
    assert all(np.array_equal(np.asarray(one), np.asarray(two)) for one, two in zip(first, second, strict=True))


def test_grid_of_few_pictures_of_several_sizes_is_no_wider_than_they_are() -> None:
    assert make_grid([Image.new("RGB", (4, 8)), Image.new("RGB", (6, 2))]).size == (12, 8)


def test_grid_lays_pictures_out_in_rows() -> None:
    images = [Image.new("RGB", (4, 4), (number, 0, 0)) for number in range(5)]
    grid = make_grid(images, columns=2)
    assert grid.size == (8, 12)
    assert grid.getpixel((4, 4)) == (3, 0, 0)
    assert grid.getpixel((4, 8)) == (255, 255, 255)
