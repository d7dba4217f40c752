"""What a text encoder learns to sketch: every concept in each of its colours, as latents region by region."""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL
from torch import Tensor

from retouch.data.colour import COLOURS
from retouch.data.compose import SceneComposer
from retouch.data.vocabulary import Concept
from retouch.train.posteriors import posteriors_of, to_unit_range
from retouch.train.sketches import to_regions

SHADES = (1, 4, 7)
"""The shades of a colour whose latents are averaged."""
GROUND_WEIGHT = 0.05
"""Of cells that hold nothing of the object; its own have 1."""


@dataclass(frozen=True, slots=True)
class Subjects:
    """What there is to sketch; the last one is nothing.

    Attributes:
        things: concept, colour, and the words of `VARIANTS` that ask for this picture, of each but the last.
        regions: (N, SKETCH_SIDE**2, values) latents, region by region.
        weights: of the same shape.
    """

    things: tuple[tuple[Concept, str | None, tuple[str, ...]], ...]
    regions: Tensor
    weights: Tensor


@torch.inference_mode()
def draw_subjects(composer: SceneComposer, vae: AutoencoderKL, *, side: float, several: bool = False) -> Subjects:
    """Encode every concept, or all of its pictures that have a word, in each of its colours; and plain grey."""
    things, regions, weights = [], [], []
    for concept in composer.concepts:
        for words in _pictures(composer, concept) if several else [("",)]:
            for colour in (None, *(COLOURS if concept.is_recoloured else ())):
                shades = SHADES if colour else SHADES[:1]
                portraits = [
                    composer.portrait(concept, colour, side=side, shade=shade, variant=words[0])
                    for shade in shades
                ]
                pictures = torch.from_numpy(np.stack([picture for picture, _ in portraits]))
                latents = posteriors_of(vae, to_unit_range(pictures))[:, 0].mean(0, keepdim=True)
                opacity = torch.tensor(portraits[0][1])[None, None].float() / 255
                shown = F.adaptive_avg_pool2d(opacity, (latents.shape[-2], latents.shape[-1])).expand_as(latents)
                things.append((concept, colour, words))
                regions.append(to_regions(latents))
                weights.append(to_regions(GROUND_WEIGHT + (1.0 - GROUND_WEIGHT) * shown))
    grey = torch.full((1, composer.size, composer.size, 3), 127.5)
    regions.append(to_regions(posteriors_of(vae, to_unit_range(grey))[:, 0]))
    weights.append(torch.full_like(weights[0], GROUND_WEIGHT))
    return Subjects(tuple(things), torch.cat(regions), torch.cat(weights))


def _pictures(composer: SceneComposer, concept: Concept) -> list[tuple[str, ...]]:
    """Return the words that ask for each of a concept's pictures."""
    asked: dict[int, list[str]] = {}
    for word, number in composer.pictures(concept).items():
        asked.setdefault(number, []).append(word)
    return [tuple(words) for words in asked.values()]
