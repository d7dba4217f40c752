"""CLIP's own tokenizer, built from the merge table that the package carries.

`clip/merges.txt.gz` holds the 48,894 merges that CLIP uses of `bpe_simple_vocab_16e6.txt` (OpenAI, MIT licence;
see NOTICE). The vocabulary follows from them: 256 byte symbols, the same with an end-of-word mark, one symbol a
merge, and the two special tokens (https://github.com/openai/CLIP, `clip/simple_tokenizer.py`).
"""

import gzip
from importlib.resources import files
from typing import Any

from retouch.models.tokenizer import TokenizerParts, build_tokenizer

START, END = "<|startoftext|>", "<|endoftext|>"
MAX_TOKENS = 77


def clip_tokenizer(pad_token: str = END) -> Any:
    """Return CLIP's tokenizer of 49,408 tokens; Stable Diffusion 2 pads with `!` instead of the end token."""
    merges = merge_table()
    settings = {
        "model_max_length": MAX_TOKENS,
        "bos_token": START,
        "eos_token": END,
        "unk_token": END,
        "pad_token": pad_token,
    }
    return build_tokenizer(TokenizerParts(vocabulary(merges), [_pair(merge) for merge in merges], settings))


def merge_table() -> list[str]:
    """Return the merges, each as two symbols with a space between them."""
    packed = (files("retouch.models") / "clip" / "merges.txt.gz").read_bytes()
    return gzip.decompress(packed).decode("utf-8").split("\n")[:-1]


def _pair(merge: str) -> tuple[str, str]:
    first, second = merge.split(" ")
    return first, second


def vocabulary(merges: list[str]) -> dict[str, int]:
    """Return token to id, in CLIP's order."""
    symbols = byte_symbols()
    tokens = [*symbols, *(f"{symbol}</w>" for symbol in symbols)]
    tokens += [merge.replace(" ", "") for merge in merges]
    return {token: number for number, token in enumerate((*tokens, START, END))}


def byte_symbols() -> list[str]:
    """Return one printable character for each byte; printable bytes stand for themselves and come first."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    return [chr(code) for code in printable] + [chr(256 + n) for n in range(256 - len(printable))]
