"""Drawn photographs for tests: each its own colours and shape, in several sizes."""

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from retouch.train.config import DataConfig, PhaseConfig

SIZES = ((80, 80), (120, 80), (80, 120), (90, 88))


def photograph(number: int, size: tuple[int, int] = (80, 80)) -> Image.Image:
    """A light ground with a disc and a box, by their number."""
    rng = np.random.default_rng(number)
    width, height = size
    ramp = np.linspace(0.6, 1.0, width)[None, :, None] * rng.uniform(120, 255, 3)
    image = Image.fromarray(np.broadcast_to(ramp, (height, width, 3)).astype(np.uint8))
    draw = ImageDraw.Draw(image)
    draw.ellipse((width // 4, height // 4, width * 3 // 4, height * 3 // 4), fill=(200, 40, 40))
    draw.rectangle((4, height - 20, width // 2, height - 8), fill=tuple(int(x) for x in rng.integers(0, 255, 3)))
    return image


def write_photographs(folder: Path, count: int = 6, caption: str | None = "a red hat") -> Path:
    """`count` JPEGs of several sizes with captions; none without `caption`."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        photograph(number, SIZES[number % len(SIZES)]).save(folder / f"{number:02d}.jpg", quality=95)
        if caption is not None:
            (folder / f"{number:02d}.txt").write_text(caption, encoding="utf-8")
    return folder


def data_of(folder: Path, **pictures: Any) -> DataConfig:
    """A folder's configuration, of two crops with two masks."""
    tree = {"kind": "folder", "folder": folder, "pictures": {"crops": 2, "masks": 2} | pictures}
    return DataConfig.model_validate(tree)


def phase_of(folder: Path, *, full_mask_rate: float = 0.25, **pictures: Any) -> PhaseConfig:
    """A phase of one step over a folder."""
    return PhaseConfig(
        name="one",
        task="inpaint",
        data=data_of(folder, **pictures),
        steps=1,
        global_batch=2,
        micro_batch=2,
        learning_rate=1e-3,
        full_mask_rate=full_mask_rate,
    )
