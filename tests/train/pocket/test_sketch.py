"""The text encoder's lessons: regions, places, what is taken over, and that lessons teach."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderKL
from transformers import CLIPTextModel, CLIPTokenizer

from retouch.data.compose import SceneComposer
from retouch.data.vocabulary import VARIANTS, concepts
from retouch.train.pocket.sketch import (
    SketchRecipe,
    SketchTeacher,
    take_over,
    train_text,
)
from retouch.train.pocket.subjects import Subjects, draw_subjects
from retouch.train.sketches import HEAD_FILE, SketchHead, position_codes, to_regions
from retouch.train.text import MAX_TOKENS, SKETCH_SIDE, WORD_TOKENS, build_text_encoder, encode_captions


@pytest.fixture
def recipe(data_dir: Path, vae_dir: Path, tokenizer_dir: Path, tmp_path: Path) -> SketchRecipe:
    return SketchRecipe(
        data_dir=data_dir,
        vae_dir=vae_dir,
        tokenizer_dir=tokenizer_dir,
        output=tmp_path / "text",
        width=16,
        layers=1,
        heads=2,
        hidden=32,
        steps=3,
        batch=4,
        report_every=1,
    )


@pytest.fixture
def teacher(recipe: SketchRecipe) -> SketchTeacher:
    vae = AutoencoderKL.from_pretrained(recipe.vae_dir).eval()
    composer = SceneComposer.open(recipe.data_dir, size=vae.config.sample_size)
    tokenizer = CLIPTokenizer.from_pretrained(recipe.tokenizer_dir)
    return SketchTeacher(recipe, draw_subjects(composer, vae, side=recipe.side), tokenizer)


def test_a_region_is_a_block_of_cells_and_regions_go_row_by_row() -> None:
    cells = torch.arange(4 * 32 * 32.0).view(1, 4, 32, 32)
    regions = to_regions(cells)
    assert regions.shape == (1, SKETCH_SIDE**2, 64)
    assert set(regions[0, 9].tolist()) == set(cells[0, :, 4:8, 4:8].flatten().tolist())
    packed = regions.transpose(1, 2).reshape(1, 64, SKETCH_SIDE, SKETCH_SIDE)
    assert torch.equal(torch.nn.functional.pixel_shuffle(packed, 4), cells)


@pytest.mark.parametrize("side", [4, 8])
def test_a_places_code_agrees_most_with_itself(side: int) -> None:
    codes = position_codes(side)
    assert torch.equal((codes @ codes.T).argmax(1), torch.arange(side**2))
    assert torch.equal(codes[1, 1::2], codes[0, 1::2])  # one step across changes nothing down


def test_subjects_are_every_concept_in_every_colour_and_then_nothing(teacher: SketchTeacher) -> None:
    subjects = teacher.subjects
    assert len(subjects.regions) == len(subjects.weights) == len(subjects.things) + 1
    shown = subjects.weights[:-1].amax(dim=(1, 2))
    assert bool((shown > 0.3).all())
    assert float(subjects.weights[-1].max()) < 0.1


def test_lessons_show_every_thing_equally_often_however_few_its_colours(recipe: SketchRecipe) -> None:
    cat, sun = (next(one for one in concepts() if one.name == name) for name in ("cat", "sun"))
    things = [*((cat, colour, ("",)) for colour in (None, "red", "blue")), (sun, None, ("",))]
    regions = torch.zeros(len(things) + 1, SKETCH_SIDE**2, 64)
    subjects = Subjects(tuple(things), regions, torch.ones_like(regions))
    teacher = SketchTeacher(recipe, subjects, CLIPTokenizer.from_pretrained(recipe.tokenizer_dir))
    seen: list[int] = []
    while len(seen) < 12:
        captions, numbers = teacher.lesson()
        seen += [number for number in numbers.tolist() if number < len(things)]
        assert len(captions) == len(numbers)
    assert Counter(seen[:6]) == Counter(seen[6:12]) == {0: 1, 1: 1, 2: 1, 3: 3}


def test_lessons_bring_the_sketch_closer(teacher: SketchTeacher) -> None:
    losses = [teacher.step(3e-3)["sketch"] for _ in range(60)]
    assert sum(losses[-10:]) < 0.8 * sum(losses[:10])


@pytest.fixture
def first(teacher: SketchTeacher, tmp_path: Path) -> Path:
    """A text encoder that has had lessons, and lost its head."""
    for _ in range(60):
        teacher.step(3e-3)
    teacher.save(tmp_path / "first")
    (tmp_path / "first" / HEAD_FILE).unlink()
    return tmp_path / "first"


@pytest.fixture
def going_on(recipe: SketchRecipe, first: Path) -> SketchTeacher:
    vae = AutoencoderKL.from_pretrained(recipe.vae_dir).eval()
    composer = SceneComposer.open(recipe.data_dir, size=vae.config.sample_size)
    tokenizer = CLIPTokenizer.from_pretrained(recipe.tokenizer_dir)
    subjects = draw_subjects(composer, vae, side=recipe.side, several=True)
    return SketchTeacher(replace(recipe, several=True, start_from=first), subjects, tokenizer)


def test_all_pictures_of_a_thing_are_subjects_each_with_the_words_that_ask_for_it(
    teacher: SketchTeacher, going_on: SketchTeacher
) -> None:
    assert len(going_on.subjects.things) > len(teacher.subjects.things)
    asked = [(c.name, colour, word) for c, colour, words in going_on.subjects.things for word in words]
    assert len(set(asked)) == len(asked) == len(teacher.subjects.things) * len(VARIANTS)


def test_lessons_ask_for_every_picture_with_a_word_of_its_own(going_on: SketchTeacher) -> None:
    captions, numbers = going_on.lesson()
    for caption, number in zip(captions, numbers.tolist(), strict=True):
        if number < len(going_on.subjects.things):
            said = [word for word in VARIANTS[1:] if word in caption.replace(",", " ").split()] or [""]
            assert said[0] in going_on.subjects.things[number][2]


def test_the_head_of_earlier_lessons_is_found_again(teacher: SketchTeacher, going_on: SketchTeacher) -> None:
    tokens = encode_captions(going_on.tokenizer, ["a blue ball", "a red bench"])
    assert going_on.before is not None
    with torch.inference_mode():
        embeds = going_on.before(tokens)[0][:, WORD_TOKENS:]
        taught, found = teacher.head.latents(embeds), going_on.head.latents(embeds)
    assert float((taught - found).square().mean()) < 0.5 * float(taught.square().mean())


def test_first_pictures_stay_as_they_were_while_others_are_learnt(going_on: SketchTeacher) -> None:
    first = going_on.step(3e-3)["words"]
    assert first < 1e-3
    losses = [going_on.step(3e-3) for _ in range(60)]
    assert sum(loss["sketch"] for loss in losses[-10:]) < sum(loss["sketch"] for loss in losses[:10])
    tokens = encode_captions(going_on.tokenizer, ["a blue ball"])
    assert going_on.before is not None
    with torch.inference_mode():
        change = going_on.text_encoder(tokens)[0] - going_on.before(tokens)[0]
    assert float(change.square().mean()) < 0.1


@pytest.mark.parametrize("share", [0.3, 0.7])
def test_what_an_encoder_knows_is_told_from_what_is_new_to_it(
    teacher: SketchTeacher, recipe: SketchRecipe, first: Path, share: float
) -> None:
    things = teacher.subjects.things
    names = [f"a {colour} {concept.name}" if colour else f"a {concept.name}" for concept, colour, _ in things]
    with torch.no_grad():
        said = teacher.text_encoder(encode_captions(teacher.tokenizer, [*names, ""]))[0][:, WORD_TOKENS:]
        regions = teacher.head.latents(said)
    random = torch.Generator().manual_seed(0)
    is_new = torch.rand(len(regions), generator=random) < share
    is_new[-1] = False
    regions[is_new] += 2.0 * torch.randn(regions[is_new].shape, generator=random)
    subjects = Subjects(things, regions, torch.ones_like(regions))
    going_on = SketchTeacher(replace(recipe, start_from=first), subjects, teacher.tokenizer)
    with torch.no_grad():
        found = going_on.head.latents(said[~is_new])
    torch.testing.assert_close(found, regions[~is_new], atol=0.1, rtol=0.1)
    # What it says may change of what is new alone.
    for number, name in enumerate([*names, ""]):
        tokens = encode_captions(going_on.tokenizer, [name])
        moved = teacher.text_encoder(tokens)[0].detach()
        moved[:, WORD_TOKENS:] += 1.0
        change = going_on._change(torch.tensor([number]), tokens, moved)
        assert float(change) == pytest.approx(0.0 if is_new[number] else 1.0, abs=0.05)


def test_a_larger_model_says_the_same_of_the_words(tokenizer_dir: Path) -> None:
    tokenizer = CLIPTokenizer.from_pretrained(tokenizer_dir)
    tokenizer.model_max_length = WORD_TOKENS
    small = build_text_encoder(tokenizer, width=16, layers=2, heads=2).eval()
    tokenizer.model_max_length = MAX_TOKENS
    large = build_text_encoder(tokenizer, width=16, layers=2, heads=2, hidden=96).eval()
    take_over(large, small)
    tokens = encode_captions(tokenizer, ["a red apple", "face of a yellow cat"])
    with torch.inference_mode():
        expected = small(tokens[:, :WORD_TOKENS])[0]
        found = large(tokens)[0]
    torch.testing.assert_close(found[:, :WORD_TOKENS], expected)


def test_trained_text_encoder_and_head_load_again_and_training_repeats(recipe: SketchRecipe) -> None:
    folder = train_text(recipe)
    first = CLIPTextModel.from_pretrained(folder).state_dict()
    assert SketchHead.load(folder).latents.weight.shape == (4, 16)
    second = CLIPTextModel.from_pretrained(train_text(recipe)).state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
