import numpy as np
import pytest

from retouch.data.captions import Naming, article, describe, describe_place, name_thing
from retouch.data.vocabulary import PLACES, VARIANTS, Concept, concepts

BY_NAME = {concept.name: concept for concept in concepts()}


def captions(name: str, colour: str | None, count: int = 300, **extra: str) -> list[str]:
    naming = Naming(BY_NAME[name], colour, PLACES["park"], **extra)
    return [describe(np.random.default_rng(seed), naming) for seed in range(count)]


def names_variant(text: str) -> bool:
    """Tell whether a caption says which of a concept's pictures it means."""
    return not set(VARIANTS).isdisjoint(text.replace(",", " ").split())


def test_the_face_of_a_yellow_cat_keeps_its_grammar():
    things = {name_thing(np.random.default_rng(seed), BY_NAME["cat face"], "yellow") for seed in range(200)}
    assert {"yellow cat face", "face of a yellow cat"} <= things


@pytest.mark.parametrize(
    ("thing", "expected"),
    [("apple", "an"), ("cat", "a"), ("unicorn", "a"), ("red boots", ""), ("pair of boots", "a")],
)
def test_articles_fit_their_words(thing: str, expected: str):
    assert article(thing) == expected


def test_captions_reach_from_the_bare_word_to_a_sentence_with_a_place():
    found = set(captions("cat", None, 2000))
    assert "cat" in found
    assert any(text.startswith("a photo of a") and "on a park bench, high resolution" in text for text in found)


def test_about_half_of_the_captions_are_short():
    lengths = [len(text.split()) for text in captions("cat", "yellow", 1000)]
    assert 0.4 < np.mean(np.array(lengths) <= 3) < 0.7


def test_the_style_word_follows_the_kind_of_picture():
    assert any("drawing of" in text for text in captions("cat", None, kind="drawn"))
    assert not any("drawing of" in text for text in captions("cat", None))
    assert any("3d render of" in text for text in captions("cat", None))


@pytest.mark.parametrize("word", VARIANTS[1:])
def test_the_word_for_another_picture_is_always_said_and_often_last(word: str):
    texts = captions("cat", "blue", variant=word)
    assert all(names_variant(text) and "blue" in text for text in texts)
    assert 0.4 < np.mean([text.endswith(f", {word}") for text in texts]) < 0.8
    assert not any(names_variant(text) for text in captions("cat", "blue"))


def test_captions_hold_no_doubled_spaces_or_open_fields():
    for name in ("grapes", "cat face", "flower vase", "car"):
        for text in captions(name, "orange"):
            assert "  " not in text
            assert "{" not in text
            assert text == text.strip()


def test_place_captions_name_no_object():
    texts = {describe_place(np.random.default_rng(seed), PLACES["forest"]) for seed in range(100)}
    assert any("forest" in text for text in texts)
    assert not any("{" in text for text in texts)


def test_synonyms_take_the_colour_too():
    concept = Concept("car", "vehicle", "core", is_recoloured=True, synonyms=("automobile",), sprites=())
    things = {name_thing(np.random.default_rng(seed), concept, "blue") for seed in range(60)}
    assert things == {"blue car", "blue automobile"}
