from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from retouch.data.colour import COLOURS, SHADES, hue_and_chroma, to_oklab
from retouch.data.compose import (
    MIXTURES,
    SceneComposer,
    all_caption_words,
    is_held_out,
    sample_captions,
)
from retouch.data.vocabulary import PLACES, VARIANTS, concepts, other_pictures
from retouch.errors import BadInput


def scenes(composer: SceneComposer, count: int):
    return [composer.scene(np.random.default_rng(seed)) for seed in range(count)]


def test_the_same_generator_state_gives_the_same_scene(composer: SceneComposer):
    first, second = (composer.scene(np.random.default_rng(11)) for _ in range(2))
    assert np.array_equal(first.image, second.image)
    assert np.array_equal(first.mask, second.mask)
    assert first.caption == second.caption


def test_a_scene_has_the_documented_shapes(composer: SceneComposer):
    for scene in scenes(composer, 20):
        assert scene.image.shape == (64, 64, 3)
        assert scene.image.dtype == np.uint8
        assert scene.mask.shape == scene.object_alpha.shape == (64, 64)
        assert scene.mask.dtype == np.bool_
        assert scene.mask.any()
        assert scene.caption == " ".join(scene.caption.split())


def test_objects_lie_wholly_inside_the_mask(composer: SceneComposer):
    for scene in scenes(composer, 80):
        assert scene.mask[scene.object_alpha > 8].all()


def test_the_box_bounds_the_object(composer: SceneComposer):
    for scene in scenes(composer, 40):
        if scene.box is None:
            assert not scene.object_alpha.any()
            assert scene.concept is None
            continue
        left, top, right, bottom = scene.box
        assert (scene.object_alpha[top:bottom, left:right] > 8).sum() == (scene.object_alpha > 8).sum()


def test_kinds_of_example_come_in_the_mixture(composer: SceneComposer):
    kinds = Counter(
        "empty" if scene.concept is None else "full" if scene.mask.all() else "object"
        for scene in scenes(composer, 400)
    )
    assert 0.55 < kinds["object"] / 400 < 0.75
    assert 0.17 < kinds["full"] / 400 < 0.33
    assert 0.05 < kinds["empty"] / 400 < 0.16


def test_centred_objects_stand_exactly_where_their_portrait_does(data_folder: Path):
    composer = SceneComposer.open(data_folder, size=64, mixture=MIXTURES["centred"])
    portraits = {concept.name: composer.portrait(concept, None, side=0.66)[1] for concept in composer.concepts}
    objects = [scene for scene in scenes(composer, 100) if scene.concept is not None]
    assert len(objects) > 50
    assert all(np.array_equal(scene.object_alpha, portraits[scene.concept]) for scene in objects)


def test_what_captions_tell_apart_are_the_pictures_of_their_words(data_folder: Path):
    composer = SceneComposer.open(data_folder, size=64, mixture=MIXTURES["several"])
    by_name = {concept.name: concept for concept in composer.concepts}
    portraits = {
        (name, word): composer.portrait(concept, None, side=0.66, variant=word)[1]
        for name, concept in by_name.items()
        for word in VARIANTS
    }
    assert not np.array_equal(portraits["bench", ""], portraits["bench", "another"])
    assert np.array_equal(portraits["bench", ""], portraits["bench", "drawing"])  # there is none
    asked = Counter()
    for scene in scenes(composer, 120):
        words = [word for word in VARIANTS[1:] if word in scene.caption.replace(",", " ").split()]
        asked.update(words or [""])
        if scene.concept is not None:
            portrait = portraits[scene.concept, words[0] if words else ""]
            assert np.array_equal(scene.object_alpha, portrait)
    assert set(asked) == set(VARIANTS)
    assert 0.37 < asked[""] / asked.total() < 0.63


def test_what_is_not_named_comes_with_its_portrait(data_folder: Path):
    mixture = replace(MIXTURES["centred"], unnamed=0.5)
    composer = SceneComposer.open(data_folder, size=64, mixture=mixture)
    found = scenes(composer, 200)
    objects = [scene for scene in found if scene.object_alpha.any()]
    unnamed = [scene for scene in objects if scene.portrait is not None]
    assert 0.35 < len(unnamed) / len(objects) < 0.65
    for scene in objects:
        assert (scene.concept is None) == (scene.portrait is not None)
    for scene in unnamed:
        is_shown = np.abs(scene.portrait.astype(int) - 128).max(axis=-1) > 1
        assert not (is_shown & (scene.object_alpha == 0)).any()
        assert is_shown[scene.object_alpha == 255].mean() > 0.9


def test_no_held_out_pair_is_shown_without_its_name(data_folder: Path):
    composer = SceneComposer.open(data_folder, size=64, mixture=replace(MIXTURES["centred"], unnamed=1.0))
    names = {concept.name for concept in composer.concepts}
    rng = np.random.default_rng(3)
    looks = [composer._unnamed(rng) for _ in range(500)]
    named = [look for look in looks if look.sprite.concept in names]
    assert not any(look.turned for look in named)
    assert not any(look.colour and is_held_out(look.sprite.concept, look.colour) for look in named)
    assert 0.35 < sum(look.is_mirrored for look in looks) / len(looks) < 0.65


def test_the_pictures_that_are_told_apart_are_of_known_things_and_three_at_most():
    names = {concept.name for concept in concepts()}
    others = other_pictures()
    assert {other.concept for other in others} <= names
    assert {other.word for other in others} <= set(VARIANTS)
    assert len({(other.concept, other.word) for other in others}) == len(others)


def test_a_portrait_stands_in_the_middle_of_plain_grey(composer: SceneComposer):
    concept = next(c for c in composer.concepts if c.is_recoloured)
    picture, alpha = composer.portrait(concept, "blue", side=0.66)
    rows, columns = (np.flatnonzero((alpha > 8).any(axis)) for axis in (1, 0))
    assert max(np.ptp(rows), np.ptp(columns)) + 1 == pytest.approx(0.66 * 64, abs=2)
    assert abs(rows[0] + rows[-1] - 63) <= 2
    assert abs(columns[0] + columns[-1] - 63) <= 2
    assert np.all(np.abs(picture[alpha == 0].astype(int) - 128) <= 1)
    assert not np.array_equal(picture, composer.portrait(concept, "red", side=0.66)[0])


def test_plain_objects_stray_further_and_stay_inside(data_folder: Path):
    composer = SceneComposer.open(data_folder, size=64, mixture=MIXTURES["plain"])
    middles = [(s.box[0] + s.box[2]) / 2 for s in scenes(composer, 150) if s.box is not None]
    assert np.ptp(middles) > 12


def test_a_colour_word_stands_in_the_caption_exactly_when_the_object_was_recoloured(composer: SceneComposer):
    words = {*COLOURS, "gray"}
    for scene in scenes(composer, 150):
        named = words & set(scene.caption.replace(",", "").split())
        expected = {"grey", "gray"} if scene.colour == "grey" else {scene.colour}
        assert (named <= expected and len(named) == 1) if scene.colour else not named


def test_the_painted_object_shows_the_colour_that_the_caption_names(composer: SceneComposer):
    checked = 0
    for scene in scenes(composer, 200):
        if scene.colour in (None, "black", "grey", "white", "brown"):
            continue
        lab = to_oklab(scene.image[scene.object_alpha > 250])
        hue, chroma = hue_and_chroma(lab)
        off = (np.median(hue[chroma > 0.05]) - SHADES[scene.colour].hue + 180) % 360 - 180
        assert abs(off) < 22, (scene.colour, scene.place)
        checked += 1
    assert checked > 40


def test_training_and_validation_share_no_combination_and_no_background(
    composer: SceneComposer, validation: SceneComposer
):
    def seen(source: SceneComposer):
        found = scenes(source, 300)
        combinations = {(s.concept, s.colour, PLACES[s.place].group) for s in found if s.colour and s.place}
        return combinations, {s.place for s in found}

    trained, train_places = seen(composer)
    tested, test_places = seen(validation)
    assert trained
    assert tested
    assert not trained & tested
    assert not train_places & test_places


def test_held_out_combinations_are_a_small_stable_share():
    held = [is_held_out(concept.name, colour) for concept in concepts() for colour in COLOURS]
    assert 0.06 < np.mean(held) < 0.10
    # A change of the hash would let old validation scenes into training.
    assert [colour for colour in COLOURS if is_held_out("cat", colour)] == ["white"]


def test_held_out_sprites_never_enter_training(data_folder: Path):
    pack = SceneComposer.open(data_folder, size=32)._pack
    train, validation = pack.by_concept("train"), pack.by_concept("validation")
    assert not set(train["bench"]) & set(validation["bench"])
    assert len(train["bench"]) == 2
    # Where nothing is held out, validation shows the known sprites.
    assert train["cup"] == validation["cup"]


def test_every_word_of_sampled_captions_is_in_the_word_list(composer: SceneComposer):
    words = set(all_caption_words(composer))
    for caption in sample_captions(composer, 500, seed=3):
        assert set(caption.lower().replace(",", " ").split()) <= words


def test_sample_captions_repeat_with_their_seed(composer: SceneComposer):
    assert list(sample_captions(composer, 20, seed=1)) == list(sample_captions(composer, 20, seed=1))


def test_a_folder_without_data_says_how_to_build_it(tmp_path: Path):
    with pytest.raises(BadInput) as caught:
        SceneComposer.open(tmp_path)
    assert "retouch data build pocket" in caught.value.hint
