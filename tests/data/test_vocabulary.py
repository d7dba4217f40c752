from retouch.data.sources import PERMISSIVE, SOURCES
from retouch.data.vocabulary import COLOUR_WORDS, PLACES, concepts, more_sprites, parse_concepts


def test_the_core_holds_enough_everyday_concepts():
    core = {concept.name for concept in concepts() if concept.tier == "core"}
    assert len(core) >= 85
    wanted = "cat face,cat,dog,dog face,bench,flower,vase,flower vase,potted plant,apple,car,chair,butterfly,house"
    wanted += ",table,lamp,bottle,clock,mirror,rock,squirrel,bread,tiger,fire,mountain"
    wanted += ",hat,tree,bird,fish,cup,balloon,ball,umbrella,book,guitar,bicycle,boat"
    assert set(wanted.split(",")) <= core


def test_concepts_and_their_sprites_are_unique_and_from_known_sources():
    names = [concept.name for concept in concepts()]
    assert len(names) == len(set(names))
    keys = [key for concept in concepts() for key in concept.sprites]
    assert len(keys) == len(set(keys))
    assert {key.partition(":")[0] for key in keys} <= set(SOURCES)
    assert all(concept.sprites for concept in concepts())


def test_the_main_style_is_permissive_throughout():
    sources = {key.partition(":")[0] for concept in concepts() for key in concept.sprites}
    assert all(SOURCES[source].licence in PERMISSIVE for source in sources)


def test_no_synonym_names_two_concepts():
    seen: dict[str, str] = {}
    for concept in concepts():
        for name in concept.names:
            assert seen.setdefault(name, concept.name) == concept.name, name


def test_other_styles_belong_to_known_concepts():
    names = {concept.name for concept in concepts()}
    assert more_sprites()
    for sprite in more_sprites():
        assert sprite.concept in names
        assert sprite.kind in ("drawn", "photo")
        assert sprite.sprite.partition(":")[0] in SOURCES


def test_a_sprite_stands_in_the_tables_once():
    keys = [key for concept in concepts() for key in concept.sprites] + [more.sprite for more in more_sprites()]
    assert len(keys) == len(set(keys))


def test_most_concepts_have_a_drawing_beside_the_render():
    drawn = {sprite.concept for sprite in more_sprites() if sprite.licence in PERMISSIVE}
    assert len(drawn) > 0.9 * len(concepts())


def test_eleven_colours_and_both_spellings_of_grey():
    assert len(COLOUR_WORDS) == 11
    assert COLOUR_WORDS["grey"] == ("grey", "gray")


def test_places_have_phrases_without_colour_words():
    colours = {word for words in COLOUR_WORDS.values() for word in words}
    for place in PLACES.values():
        assert place.phrases
        assert not colours & {word for phrase in place.phrases for word in phrase.split()}


def test_the_table_is_parsed_by_its_header():
    lines = [
        "concept\tcategory\ttier\trecolour\tsynonyms\tsprites",
        "cat\tanimal\tcore\t1\tkitty,kitten\tfluent:1",
    ]
    (cat,) = parse_concepts(lines)
    assert cat.names == ("cat", "kitty", "kitten")
    assert cat.is_recoloured
