"""Sample grids: what the model paints now, for fixed prompts, places, masks and noise."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from retouch.data.compose import SceneComposer
from retouch.train.export import Parts, build_pipeline

COLUMNS = 6


def held_out_places(folder: Path, *, count: int, size: int) -> list[Image.Image]:
    """Pictures without an object, of places that training never sees."""
    composer = SceneComposer.open(folder, size=size, split="validation")
    found: list[Image.Image] = []
    number = 0
    while len(found) < count:
        scene = composer.scene(np.random.default_rng((7, number)))
        number += 1
        if scene.concept is None:
            found.append(Image.fromarray(scene.image))
    return found


def draw_samples(
    parts: Parts, prompts: Sequence[str], places: Sequence[Image.Image], *, steps: int = 20, guidance: float = 3.0
) -> list[Image.Image]:
    """Paint each prompt into the middle of its place with the stock pipeline; the noise is the same each time."""
    pipeline = build_pipeline(parts)
    size = places[0].width
    mask = Image.new("L", (size, size), 0)
    margin = size // 7
    mask.paste(255, (margin, margin, size - margin, size - margin))
    generators = [torch.Generator().manual_seed(number) for number in range(len(prompts))]
    found = pipeline(
        prompt=list(prompts),
        image=list(places),
        mask_image=[mask] * len(prompts),
        height=size,
        width=size,
        num_inference_steps=steps,
        guidance_scale=guidance,
        generator=generators,
    )
    images: list[Image.Image] = found.images
    return images


def make_grid(images: Sequence[Image.Image], columns: int = COLUMNS) -> Image.Image:
    """Lay pictures of one size out in rows."""
    width, height = images[0].size
    rows = -(-len(images) // columns)
    grid = Image.new("RGB", (columns * width, rows * height), "white")
    for number, image in enumerate(images):
        grid.paste(image, (number % columns * width, number // columns * height))
    return grid
