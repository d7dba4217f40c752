"""The tokenizer and the text encoder."""

from pathlib import Path

import torch
from transformers import CLIPTokenizer

from retouch.train.text import MAX_TOKENS, build_text_encoder, encode_captions, save_vocabulary


def test_every_word_of_the_captions_is_one_token(tokenizer_dir: Path, captions: list[str]) -> None:
    tokenizer = CLIPTokenizer.from_pretrained(tokenizer_dir)
    for caption in captions:
        words = caption.replace(",", " ,").split()
        assert tokenizer.tokenize(caption) == [f"{word}</w>" for word in words]


def test_any_text_goes_there_and_back(tokenizer_dir: Path) -> None:
    tokenizer = CLIPTokenizer.from_pretrained(tokenizer_dir)
    for text in ("a red apple", "zebra", "face of a blue yak", "straße"):
        assert tokenizer.decode(tokenizer(text).input_ids, skip_special_tokens=True).strip() == text


def test_folder_holds_the_files_of_a_clip_tokenizer_and_its_length(tokenizer_dir: Path) -> None:
    assert {"vocab.json", "merges.txt"} <= {path.name for path in tokenizer_dir.iterdir()}
    tokenizer = CLIPTokenizer.from_pretrained(tokenizer_dir)
    assert tokenizer.model_max_length == MAX_TOKENS
    assert len({tokenizer.bos_token_id, tokenizer.eos_token_id}) == 2


def test_vocabulary_saved_from_a_loaded_tokenizer_is_the_one_it_was_made_of(
    tokenizer_dir: Path, tmp_path: Path
) -> None:
    save_vocabulary(CLIPTokenizer.from_pretrained(tokenizer_dir), tmp_path)
    for name in ("vocab.json", "merges.txt"):
        assert (tmp_path / name).read_text().split() == (tokenizer_dir / name).read_text().split()


def test_captions_are_padded_and_cut_to_the_length(tokenizer_dir: Path) -> None:
    tokenizer = CLIPTokenizer.from_pretrained(tokenizer_dir)
    ids = encode_captions(tokenizer, ["", "a red apple", "apple " * 50])
    assert ids.shape == (3, MAX_TOKENS)
    assert ids[0, 0] == tokenizer.bos_token_id
    assert bool((ids[0, 1:] == tokenizer.eos_token_id).all())


def test_encoder_tells_word_order_and_words_apart(tokenizer_dir: Path) -> None:
    torch.manual_seed(0)
    tokenizer = CLIPTokenizer.from_pretrained(tokenizer_dir)
    encoder = build_text_encoder(tokenizer, width=16, layers=1, heads=2).eval()
    embeds = encoder(encode_captions(tokenizer, ["red apple", "apple red", "blue apple"]))[0]
    assert embeds.shape == (3, MAX_TOKENS, 16)
    assert float((embeds[0] - embeds[1]).abs().max()) > 1e-2
    assert float((embeds[0] - embeds[2]).abs().max()) > 1e-2
