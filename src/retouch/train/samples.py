"""Sample grids: what the model paints now, for fixed prompts, places, masks and noise."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from retouch.data.compose import SceneComposer
from retouch.models.components import Components
from retouch.request import DEFAULT_GUIDANCE_SCALE
from retouch.train.export import build_pipeline
from retouch.train.photographs import Cuts

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
    parts: Components, prompts: Sequence[str], places: Sequence[Image.Image], *, steps: int = 20
) -> list[Image.Image]:
    """Paint each prompt into the middle of its place with the stock pipeline; the noise is the same each time."""
    pipeline = build_pipeline(replace(parts, safety_checker=None, feature_extractor=None))
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
        guidance_scale=parts.notes.recommended.guidance_scale or DEFAULT_GUIDANCE_SCALE,
        generator=generators,
    )
    images: list[Image.Image] = found.images
    return images


def draw_fills(parts: Components, pictures: Sequence[tuple[Cuts, str]], *, steps: int = 20) -> list[Image.Image]:
    """For each picture of a folder: itself, its hole in grey, and what the stock pipeline paints there.

    The noise is the same each time.
    """
    pipeline = build_pipeline(replace(parts, safety_checker=None, feature_extractor=None)).to(parts.unet.device)
    found: list[Image.Image] = []
    for cuts, caption in pictures:
        picture, mask = cuts.images[0], cuts.masks[0, 0]
        height, width = mask.shape
        painted = pipeline(
            prompt=caption,
            image=Image.fromarray(picture),
            mask_image=Image.fromarray(mask),
            height=height,
            width=width,
            num_inference_steps=steps,
            guidance_scale=parts.notes.recommended.guidance_scale or DEFAULT_GUIDANCE_SCALE,
            generator=torch.Generator().manual_seed(0),
        ).images[0]
        hidden = np.where(mask[..., None], np.uint8(128), picture)
        found += [Image.fromarray(picture), Image.fromarray(hidden), painted]
    return found


def make_grid(images: Sequence[Image.Image], columns: int = COLUMNS) -> Image.Image:
    """Lay pictures out in rows, in cells as large as the largest."""
    columns = min(columns, len(images))
    width, height = (max(image.size[side] for image in images) for side in (0, 1))
    rows = -(-len(images) // columns)
    grid = Image.new("RGB", (columns * width, rows * height), "white")
    for number, image in enumerate(images):
        grid.paste(image, (number % columns * width, number // columns * height))
    return grid
