"""Lessons for a small text encoder: to sketch what its caption names, one token for each region of the picture.

A UNet learns slowly by heart how a thing looks: its convolutions know where they stand by the picture's border
alone, and every call pays for all of its resolutions. A transformer with a token for each region knows where it
stands, costs a tenth, and is called once per prompt. So it learns the shapes; to the UNet it is left to look them
up (`retouch.train.pocket.reading`) and to fit them to mask, size and light.

The sketches stand behind the words, where stock pipelines pad: a caption of more than `WORD_TOKENS` tokens
overwrites the first of them.
"""

import copy
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers import CLIPTextModel, CLIPTokenizer

from retouch.data.captions import Naming, describe, describe_place, say_variant
from retouch.data.compose import SceneComposer
from retouch.data.vocabulary import PLACES, VARIANTS
from retouch.models.devices import multiplies_bf16
from retouch.models.vae import load_vae
from retouch.train.pocket.subjects import Subjects, draw_subjects
from retouch.train.progress import RunLog
from retouch.train.schedule import falling
from retouch.train.sketches import HEAD_FILE, SketchHead, position_codes
from retouch.train.text import SKETCH_SIDE, WORD_TOKENS, build_text_encoder, encode_captions

WARMUP_STEPS = 50
KEPT_RATE = 0.1
"""Of an encoder that is gone on with, as a share of the rate of what is new."""
KNOWN_ERROR = 0.04
"""Squared error of a sketch, in latents, below which it is known."""


@dataclass(frozen=True, slots=True)
class SketchRecipe:
    """What the lessons are made of.

    Attributes:
        side: longer side of the objects, as a share of the picture's; about what a crop around a hole shows.
        start_from: folder of a text encoder to go on with, and with its head if it has one. What it says of words,
            and its good sketches, stay as they are, so that a UNet that reads them goes on doing so. Give it more
            `hidden` units for what is new.
        several: sketch all pictures of a concept that captions have a word for, not its first alone.
        words: of which the names of the concepts are made; None: any.
        nothing_rate: share of captions without an object, whose sketch is plain grey.
        position_weight: of the place of each token, which its own UNet queries look for.
    """

    data_dir: Path
    vae_dir: Path
    tokenizer_dir: Path
    output: Path
    start_from: Path | None = None
    several: bool = False
    words: frozenset[str] | None = None
    side: float = 0.66
    width: int = 192
    layers: int = 2
    heads: int = 4
    hidden: int = 3072
    steps: int = 8000
    batch: int = 24
    learning_rate: float = 1.5e-3
    decay_share: float = 0.5
    nothing_rate: float = 0.06
    position_weight: float = 0.2
    seed: int = 0
    report_every: int = 50


class SketchTeacher:
    """The text encoder, its head and the order of its lessons; changed by the training thread alone."""

    def __init__(self, recipe: SketchRecipe, subjects: Subjects, tokenizer: Any) -> None:
        torch.manual_seed(recipe.seed)
        self.recipe, self.subjects, self.tokenizer = recipe, subjects, tokenizer
        self.before = CLIPTextModel.from_pretrained(recipe.start_from).eval() if recipe.start_from else None
        self.text_encoder = build_text_encoder(
            tokenizer, width=recipe.width, layers=recipe.layers, heads=recipe.heads, hidden=recipe.hidden
        )
        if self.before is not None:
            take_over(self.text_encoder, self.before)
        # Over 96 tokens plain products are faster on a CPU than attention in blocks, backwards above all.
        self.text_encoder.config._attn_implementation = "eager"
        self.head = SketchHead(recipe.width, subjects.regions.shape[-1])
        self._head_before: SketchHead | None = None
        self._kept: list[tuple[nn.Parameter, tuple[slice, ...]]] = []
        if self.before is not None and self.before.config.max_position_embeddings > WORD_TOKENS:
            self._take_up(self.before)
        self._parameters = [*self.text_encoder.parameters(), *self.head.parameters()]
        self._optimiser = torch.optim.AdamW(
            self._parameters, lr=recipe.learning_rate, betas=(0.9, 0.99), weight_decay=0.01, fused=True
        )
        self._rng = np.random.default_rng(recipe.seed)
        self._turns = _equal_turns(subjects)
        self._queue: list[int] = []
        self._places = list(PLACES.values())
        self._codes = position_codes(SKETCH_SIDE)
        self._is_bf16 = multiplies_bf16()

    def lesson(self) -> tuple[list[str], Tensor]:
        """Captions, and the numbers of their subjects (B,). Every picture of a thing comes equally often."""
        numbers, captions = [], []
        for _ in range(self.recipe.batch):
            place = self._places[int(self._rng.integers(len(self._places)))]
            chance = VARIANTS[int(self._rng.integers(len(VARIANTS)))] if self.recipe.several else ""
            if self._rng.random() < self.recipe.nothing_rate:
                numbers.append(len(self.subjects.things))
                caption = "" if self._rng.random() < 0.5 else describe_place(self._rng, place)
                captions.append(say_variant(caption, chance) if caption else "")
                continue
            if not self._queue:
                self._queue = self._rng.permutation(self._turns).tolist()
            numbers.append(self._queue.pop())
            concept, colour, words = self.subjects.things[numbers[-1]]
            variant = words[int(self._rng.integers(len(words)))] if len(words) > 1 else words[0]
            captions.append(describe(self._rng, Naming(concept, colour, place, variant=variant)))
        return captions, torch.tensor(numbers)

    def step(self, rate: float) -> dict[str, float]:
        """One optimiser step at this learning rate; returns the losses."""
        captions, numbers = self.lesson()
        tokens = encode_captions(self.tokenizer, captions)
        with torch.autocast("cpu", torch.bfloat16, enabled=self._is_bf16):
            embeds = self.text_encoder(tokens)[0]
            sketch, place = self.head.latents(embeds[:, WORD_TOKENS:]), self.head.position(embeds[:, WORD_TOKENS:])
        target, weights = self.subjects.regions[numbers], self.subjects.weights[numbers]
        losses = {
            "sketch": sketch_errors(sketch.float(), target, weights).mean(),
            "position": (place.float() - self._codes).square().mean(),
            "words": self._change(numbers, tokens, embeds.float()),
        }
        (losses["sketch"] + self.recipe.position_weight * losses["position"] + losses["words"]).backward()
        torch.nn.utils.clip_grad_norm_(self._parameters, 1.0)
        for group in self._optimiser.param_groups:
            group["lr"] = rate
        self._advance()
        return {name: float(loss.detach()) for name, loss in losses.items()}

    def _advance(self) -> None:
        """Take the optimiser's step; of the weights that were there before, a share of it."""
        with torch.no_grad():
            before = [parameter[part].clone() for parameter, part in self._kept]
            self._optimiser.step()
            for (parameter, part), values in zip(self._kept, before, strict=True):
                parameter[part].lerp_(values, 1.0 - KEPT_RATE)
        self._optimiser.zero_grad()

    def _change(self, numbers: Tensor, tokens: Tensor, embeds: Tensor) -> Tensor:
        """How far what the first text encoder said has moved: of words, and in the sketches that it knew; 0 for a
        fresh one."""
        if self.before is None:
            return torch.zeros(())
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=self._is_bf16):
            expected = self.before(tokens[:, : self.before.config.max_position_embeddings])[0].float()
        change = F.mse_loss(embeds[:, :WORD_TOKENS], expected[:, :WORD_TOKENS])
        if self._head_before is None:
            return change
        with torch.no_grad():
            said = self._head_before.latents(expected[:, WORD_TOKENS:])
            errors = sketch_errors(said, self.subjects.regions[numbers], self.subjects.weights[numbers])
        if (known := errors < KNOWN_ERROR).any():
            change = change + F.mse_loss(embeds[known, WORD_TOKENS:], expected[known, WORD_TOKENS:])
        return change

    def _take_up(self, before: CLIPTextModel) -> None:
        """Take up the lessons of a text encoder that sketches: its head, and what is to go slowly."""
        self.head = SketchHead.beside(self.recipe.start_from) or self._found_head(before)
        self._head_before = copy.deepcopy(self.head)
        # What is new is for further hidden units to learn; all else goes slowly, or what is known is lost.
        old = dict(before.named_parameters())
        self._kept = [
            (parameter, tuple(map(slice, old[name].shape)))
            for name, parameter in self.text_encoder.named_parameters()
        ]
        self._kept += [(parameter, ()) for parameter in self.head.parameters()]

    @torch.no_grad()
    def _found_head(self, before: CLIPTextModel) -> SketchHead:
        """Find again the head that a text encoder was taught with, by what it says of first pictures.

        Many may be new to it, and say nothing of the head: it is fitted to all, then to the half that fits best
        and all that fit well, until these stay the same; last to those that fit well alone.
        """
        first = [k for k, (_, _, words) in enumerate(self.subjects.things) if "" in words]
        naming = (self.subjects.things[k][:2] for k in first)
        names = [f"a {colour} {concept.name}" if colour else f"a {concept.name}" for concept, colour in naming]
        embeds = torch.cat([before(encode_captions(self.tokenizer, [name]))[0] for name in names])[:, WORD_TOKENS:]
        regions, weights = self.subjects.regions[first], self.subjects.weights[first]
        fits = torch.ones(len(first), dtype=torch.bool)
        for _ in range(10):
            head = SketchHead.fit(embeds[fits], regions[fits])
            errors = sketch_errors(head.latents(embeds), regions, weights)
            fitted, fits = fits, errors <= max(KNOWN_ERROR, float(errors.median()))
            if torch.equal(fits, fitted):
                break
        good = errors < KNOWN_ERROR
        return SketchHead.fit(embeds[good], regions[good]) if good.any() else head

    def save(self, folder: Path) -> None:
        """Write the text encoder, and its head beside it."""
        self.text_encoder.save_pretrained(folder)
        save_file(self.head.state_dict(), folder / HEAD_FILE)


def sketch_errors(sketches: Tensor, regions: Tensor, weights: Tensor) -> Tensor:
    """Weighted squared error (B,) of sketches (B, T, values)."""
    return (weights * (sketches - regions).square()).sum(dim=(1, 2)) / weights.sum(dim=(1, 2))


def _equal_turns(subjects: Subjects) -> NDArray[np.intp]:
    """Return the numbers of all subjects once, but of a picture in few colours so often that it has as many turns.

    A thing in one colour would come a twelfth as often as one in twelve (so the sketch of a sun stayed grey).
    """
    pictures = [(concept.name, words) for concept, _, words in subjects.things]
    colours = Counter(pictures)
    most = max(colours.values())
    return np.repeat(np.arange(len(pictures)), [round(most / colours[picture]) for picture in pictures])


@torch.no_grad()
def take_over(text_encoder: CLIPTextModel, before: CLIPTextModel) -> None:
    """Copy a smaller model's weights into a larger one of the same width, which then says the same of the words.

    Further positions and hidden units stay as they are, but that the units say nothing yet.
    """
    old = dict(before.named_parameters())
    for name, parameter in text_encoder.named_parameters():
        if parameter.shape != old[name].shape and name.endswith("fc2.weight"):
            parameter.zero_()
        parameter[tuple(slice(size) for size in old[name].shape)] = old[name]


def train_text(recipe: SketchRecipe) -> Path:
    """Give a text encoder its lessons, from the beginning each time. Returns its folder."""
    tokenizer = CLIPTokenizer.from_pretrained(recipe.tokenizer_dir)
    vae = load_vae(recipe.vae_dir)
    composer = SceneComposer.open(recipe.data_dir, size=vae.config.sample_size, words=recipe.words)
    subjects = draw_subjects(composer, vae, side=recipe.side, several=recipe.several)
    teacher = SketchTeacher(recipe, subjects, tokenizer)
    recipe.output.mkdir(parents=True, exist_ok=True)
    (recipe.output / "log.jsonl").unlink(missing_ok=True)
    log = RunLog(recipe.output / "log.jsonl", total=recipe.steps * recipe.batch)
    for step in range(recipe.steps):
        rise = min(1.0, (step + 1) / WARMUP_STEPS)
        rate = recipe.learning_rate * rise * falling(step / recipe.steps, decay_share=recipe.decay_share)
        log.note(**teacher.step(rate))
        if (step + 1) % recipe.report_every == 0:
            log.report(step=step + 1, samples=(step + 1) * recipe.batch)
    teacher.save(recipe.output)
    return recipe.output
