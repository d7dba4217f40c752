"""The small text encoder: a CLIP tokenizer learnt from captions, and the model that reads its tokens."""

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from torch import Tensor
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

WORD_TOKENS = 32
"""Room for the words of a caption."""
SKETCH_SIDE = 8
"""After the words, one token for each of so many rows and columns of the picture: `pocket.sketch`."""
MAX_TOKENS = WORD_TOKENS + SKETCH_SIDE**2
"""The length of the tokenizers that we make."""
WORDS_FILE = "words.json"
"""Beside a tokenizer: the words that it was made for. Its tokens hold pieces of words, too."""
BOS, EOS = "<|startoftext|>", "<|endoftext|>"


# CLIP's own pattern (OpenAI's simple_tokenizer), less its English contractions' case flag.
WORDS = re.compile(r"'s|'t|'re|'ve|'m|'ll|'d|[a-z]+|[0-9]|[^\sa-z0-9]+")


def split_words(captions: Iterable[str]) -> Iterator[list[str]]:
    """Cut captions into the pieces that CLIP's tokenizer never merges across."""
    for caption in captions:
        yield WORDS.findall(caption.lower())


def write_tokenizer(captions: Iterable[str], folder: Path, *, length: int = MAX_TOKENS) -> CLIPTokenizer:
    """Learn a byte-level BPE until every word of the captions is one token; save it as a CLIPTokenizer.

    Any other text still has tokens, down to single bytes.

    Args:
        captions: at least one that holds each word.
        folder: gets vocab.json, merges.txt, the tokenizer's configuration and the words.
        length: tokens of a prompt, the two around it included; sketches need `MAX_TOKENS`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    words = sorted({word for pieces in split_words(captions) for word in pieces})
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    bpe = Tokenizer(models.BPE(end_of_word_suffix="</w>"))
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    trainer = trainers.BpeTrainer(
        # Far more than any list of words needs: learning ends when nothing is left to merge.
        vocab_size=100_000,
        min_frequency=1,
        initial_alphabet=letters,
        end_of_word_suffix="</w>",
        show_progress=False,
    )
    bpe.train_from_iterator(words, trainer)
    learnt = json.loads(bpe.to_str())["model"]
    finals = [f"{letter}</w>" for letter in letters]
    merges = _merge_lines(learnt)
    tokens = dict.fromkeys([*letters, *finals, *("".join(merge.split(" ")) for merge in merges), BOS, EOS])
    _write_vocabulary({token: number for number, token in enumerate(tokens)}, merges, folder)
    tokenizer = CLIPTokenizer(
        vocab=str(folder / "vocab.json"),
        merges=str(folder / "merges.txt"),
        unk_token=EOS,
        bos_token=BOS,
        eos_token=EOS,
        pad_token=EOS,
        model_max_length=length,
    )
    tokenizer.save_pretrained(folder)
    (folder / WORDS_FILE).write_text(json.dumps([word for word in words if word.isalpha()]), encoding="utf-8")
    return tokenizer


def _merge_lines(bpe: dict[str, Any]) -> list[str]:
    """Merges as `merges.txt` has them; tokenizers keeps them as strings or, in newer versions, as pairs."""
    return [merge if isinstance(merge, str) else " ".join(merge) for merge in bpe["merges"]]


def _write_vocabulary(table: dict[str, int], merges: list[str], folder: Path) -> None:
    (folder / "vocab.json").write_text(json.dumps(table, ensure_ascii=False), encoding="utf-8")
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *merges]) + "\n", encoding="utf-8")


def save_vocabulary(tokenizer: Any, folder: Path) -> None:
    """Write `vocab.json` and `merges.txt`, which transformers 5 leaves out of `save_pretrained` and 4 reads."""
    learnt = json.loads(tokenizer.backend_tokenizer.to_str())["model"]
    _write_vocabulary(learnt["vocab"], _merge_lines(learnt), folder)


def build_text_encoder(
    tokenizer: Any, *, width: int = 192, layers: int = 2, heads: int = 4, hidden: int | None = None
) -> CLIPTextModel:
    """A CLIP text model for `tokenizer`, freshly initialised; `hidden` is the width between its linear layers.

    CLIP initialises embeddings for 12 layers of width 512 and more; at two layers the token embeddings are raised
    to unit scale, or the words would start as almost the same vector.
    """
    config = CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        intermediate_size=hidden or 4 * width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        max_position_embeddings=tokenizer.model_max_length,
        hidden_act="quick_gelu",
        projection_dim=width,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    model = CLIPTextModel(config)
    with torch.no_grad():
        embeddings = model.get_input_embeddings().weight
        embeddings.normal_(std=0.5)
    return model


def encode_captions(tokenizer: Any, captions: list[str]) -> Tensor:
    """Token ids (B, T), cut and padded to the tokenizer's length as the stock pipelines do."""
    length = tokenizer.model_max_length
    tokens = tokenizer(captions, padding="max_length", max_length=length, truncation=True, return_tensors="pt")
    ids: Tensor = tokens.input_ids
    return ids
