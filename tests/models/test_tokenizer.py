"""Tokenizers come out as transformers makes them, from whatever files there are, and run no pipeline of a file."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.factories import make_checkpoint
from transformers import CLIPTokenizer

from retouch.errors import ModelError, ModelUnsafe, ModelUnsupported
from retouch.models.tokenizer import load_tokenizer

TEXTS = (
    "a red apple on the bench",
    "A Red, RED apple!!! it's the 2nd — naïve  café \t x",
    "<|endoftext|> a <|startoftext|>",
    "日本語 😀",
    "",
    "my <cat> and <cat>_1, too<cat>",
    "a" * 500,
)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return make_checkpoint(tmp_path / "model") / "tokenizer"


def added(text: str) -> dict[str, Any]:
    return {"__type": "AddedToken", "content": text, "lstrip": False, "normalized": True, "rstrip": False}


def keep_pair(home: Path) -> None:
    (home / "tokenizer.json").unlink()


def keep_whole(home: Path) -> None:
    for name in ("vocab.json", "merges.txt"):
        (home / name).unlink()


def like_stable_diffusion_1(home: Path) -> None:
    """The settings that its repository has, from transformers before 4.34."""
    keep_pair(home)
    start, end = "<|startoftext|>", "<|endoftext|>"
    config = {"bos_token": added(start), "eos_token": added(end), "unk_token": added(end), "pad_token": end}
    config |= {"do_lower_case": True, "errors": "replace", "add_prefix_space": False, "model_max_length": 16}
    (home / "tokenizer_config.json").write_text(json.dumps(config))
    special = {"bos_token": added(start), "pad_token": "!"}
    special["bos_token"].pop("__type")
    (home / "special_tokens_map.json").write_text(json.dumps(special))


def with_former_added_tokens(home: Path) -> None:
    like_stable_diffusion_1(home)
    size = len(json.loads((home / "vocab.json").read_text()))
    (home / "added_tokens.json").write_text(json.dumps({"<cat>": size, "<cat>_1": size + 1}))


def with_textual_inversions(home: Path) -> None:
    tokenizer = CLIPTokenizer.from_pretrained(home)
    tokenizer.add_tokens(["<cat>", "<cat>_1"])
    shutil.rmtree(home)
    tokenizer.save_pretrained(home)


def without_settings(home: Path) -> None:
    keep_pair(home)
    (home / "tokenizer_config.json").unlink()


@pytest.mark.parametrize(
    "arrange",
    [
        lambda home: None,
        keep_pair,
        keep_whole,
        like_stable_diffusion_1,
        with_former_added_tokens,
        with_textual_inversions,
        without_settings,
    ],
)
def test_tokenizer_equals_transformers_own(home: Path, arrange: Callable[[Path], None]) -> None:
    arrange(home)
    ours, theirs = load_tokenizer(home), CLIPTokenizer.from_pretrained(home)
    for text in TEXTS:
        for options in ({}, {"add_special_tokens": False}, {"padding": "max_length", "max_length": 16}):
            ids = theirs(text, **options).input_ids
            assert ours(text, **options).input_ids == ids
            assert ours.decode(ids) == theirs.decode(ids)
    assert ours.get_vocab() == theirs.get_vocab()
    assert ours.get_added_vocab() == theirs.get_added_vocab()
    assert ours.added_tokens_decoder == theirs.added_tokens_decoder
    for name in ("bos_token_id", "eos_token_id", "pad_token_id", "unk_token_id", "model_max_length"):
        assert getattr(ours, name) == getattr(theirs, name)


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("normalizer", {"type": "Precompiled", "precompiled_charsmap": "AAAA"}),
        ("normalizer", {"type": "Replace", "pattern": {"String": "a"}, "content": "a" * 100_000}),
        (
            "pre_tokenizer",
            {"type": "Split", "pattern": {"Regex": "(a+)+$"}, "behavior": "Removed", "invert": False},
        ),
        ("post_processor", {"type": "TemplateProcessing"}),
        ("decoder", {"type": "Nothing"}),
    ],
)
def test_pipeline_of_the_file_is_never_built(home: Path, part: str, value: dict[str, Any]) -> None:
    plain = load_tokenizer(home)("a red apple").input_ids
    tree = json.loads((home / "tokenizer.json").read_text())
    (home / "tokenizer.json").write_text(json.dumps({**tree, part: value}))
    assert load_tokenizer(home)("a red apple").input_ids == plain


def test_files_that_differ_are_refused(home: Path) -> None:
    vocabulary = json.loads((home / "vocab.json").read_text())
    vocabulary["a</w>"], vocabulary["red</w>"] = vocabulary["red</w>"], vocabulary["a</w>"]
    (home / "vocab.json").write_text(json.dumps(vocabulary))
    with pytest.raises(ModelUnsafe, match="differ"):
        load_tokenizer(home)


def test_thousands_of_added_tokens_are_refused(home: Path) -> None:
    config = json.loads((home / "tokenizer_config.json").read_text())
    tokens = {str(n): {"content": f"<x>_{n}"} for n in range(2_000)}
    (home / "tokenizer_config.json").write_text(json.dumps({**config, "added_tokens_decoder": tokens}))
    with pytest.raises(ModelUnsafe, match="2000"):
        load_tokenizer(home)


def test_tokens_beyond_the_text_encoder_are_refused(home: Path) -> None:
    size = len(load_tokenizer(home))
    load_tokenizer(home, rows=size)
    with pytest.raises(ModelUnsupported, match=f"knows {size - 1}"):
        load_tokenizer(home, rows=size - 1)


@pytest.mark.parametrize(
    "model",
    [
        {"type": "Unigram", "vocab": [["a", 0.0]]},
        {"type": "BPE", "vocab": {"a": 0}},
        {"type": "BPE", "vocab": {"a": 0}, "merges": ["a a a"]},
        {"type": "BPE", "vocab": {"a": 0}, "merges": [["a", 7]]},
        {"type": "BPE", "vocab": {"a": 0}, "merges": [["a", "b"]]},
        {"type": "BPE", "vocab": {"a": 0, "a a": 1}, "merges": [["a", "a a"]]},
        {"type": "BPE", "vocab": {"a": -1}, "merges": []},
        {"type": "BPE", "vocab": {"a": "0"}, "merges": []},
        {"type": "BPE", "vocab": ["a"], "merges": []},
        {"type": "BPE", "vocab": {"\ud800": 0}, "merges": [["\ud800", "\ud800"]]},
        [],
    ],
)
def test_models_of_other_kinds_are_errors_of_ours(home: Path, model: Any) -> None:
    keep_whole(home)
    (home / "tokenizer.json").write_text(json.dumps({"model": model, "added_tokens": []}))
    with pytest.raises(ModelError):
        load_tokenizer(home)


@pytest.mark.parametrize(
    "tokens", [{"0": {"content": 7}}, {"x": {"content": "<x>"}}, {"-5": {"content": "<x>"}}, {"0": {}}, [1], 7]
)
def test_added_tokens_of_the_wrong_kind_are_errors_of_ours(home: Path, tokens: Any) -> None:
    config = json.loads((home / "tokenizer_config.json").read_text())
    (home / "tokenizer_config.json").write_text(json.dumps({**config, "added_tokens_decoder": tokens}))
    with pytest.raises(ModelError):
        load_tokenizer(home)
