"""CLIP's tokenizer from the packaged merges is CLIP's tokenizer."""

from retouch.models.clip_tokenizer import END, START, byte_symbols, clip_tokenizer, merge_table, vocabulary


def test_known_sentence_gives_the_known_tokens() -> None:
    """The ids that CLIP's own documentation of transformers shows for this sentence's words."""
    ids = clip_tokenizer()("a photo of a cat").input_ids
    assert ids == [49406, 320, 1125, 539, 320, 2368, 49407]


def test_vocabulary_has_clips_size_and_order() -> None:
    words = vocabulary(merge_table())
    assert len(words) == 49_408
    assert (words["!"], words[START], words[END]) == (0, 49_406, 49_407)


def test_every_byte_has_its_own_symbol() -> None:
    assert len(set(byte_symbols())) == 256


def test_pad_token_of_the_second_version_is_an_exclamation_mark() -> None:
    ids = clip_tokenizer("!")("cat", padding="max_length").input_ids
    assert len(ids) == 77
    assert set(ids[3:]) == {0}
