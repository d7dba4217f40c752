"""CLIP's tokenizer from the files of a checkpoint: read by us, bounded, and built anew from what it may hold.

A `tokenizer.json` may describe any pipeline of the tokenizers library: normalisers that let a word grow without
end, expressions that never finish, parts that make the library panic. CLIP has one pipeline, which its class in
transformers brings along; a checkpoint gives the vocabulary, the merges and a few settings, and those are read.
"""

import json
import reprlib
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from retouch.errors import ModelNotFound, ModelUnsafe, ModelUnsupported
from retouch.models.guarded import guarded
from retouch.models.layout import read_json
from retouch.models.rules import FLAG, TEXT, Rule, Schema, check, count, one_of, optional

MAX_TOKENS = 1_000_000
# Textual inversions of a checkpoint; a prompt spells out each with all its vectors.
MAX_ADDED = 1_000
_MAX_FILE_BYTES = 16 * 2**20
_NAMED = ("bos_token", "eos_token", "unk_token", "pad_token")
_TOKEN: Schema = {
    "content": TEXT,
    **dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized", "special"), FLAG),
}
_SETTINGS: Schema = {
    # Where there is no limit, transformers writes 1e30 as a whole number.
    "model_max_length": count(int(1e30), least=3),
    "errors": TEXT,
    "padding_side": one_of("right", "left"),
    **dict.fromkeys(
        ("add_prefix_space", "do_lower_case", "clean_up_tokenization_spaces", "split_special_tokens"), FLAG
    ),
    **{
        name: optional(Rule("a token", lambda value: isinstance(value, dict) or TEXT.accepts(value)))
        for name in _NAMED
    },
}


@dataclass(frozen=True, slots=True)
class TokenizerParts:
    """What makes a tokenizer CLIP's own.

    Attributes:
        vocabulary: token to id.
        merges: pairs of tokens, the first merged first.
        settings: of `tokenizer_config.json`, checked.
        added: id to token, as `AddedToken` takes it; among them those of textual inversions.
    """

    vocabulary: Mapping[str, int]
    merges: Iterable[tuple[str, str]]
    settings: Mapping[str, Any]
    added: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)


def load_tokenizer(folder: Path, *, rows: int = MAX_TOKENS) -> Any:
    """Load CLIP's tokenizer from `tokenizer.json`, or from `vocab.json` and `merges.txt`.

    Args:
        rows: of the text encoder's table; no token may lie beyond.
    Raises:
        ModelNotFound: neither is whole.
        ModelUnsafe: a file is larger than any tokenizer's, or both are there and differ.
        ModelUnsupported: it is no tokenizer of CLIP's kind, or has tokens that the text encoder does not know.
        ModelError: the files cannot be read, or do not fit each other.
    """
    if not has_tokenizer(folder):
        raise ModelNotFound(
            "the tokenizer is missing: vocab.json with merges.txt, or tokenizer.json", hint=f"looked in {folder}"
        )
    with guarded(f"the tokenizer in {folder} cannot be read"):
        parts = _read(folder)
        if len(parts.added) > MAX_ADDED:
            raise ModelUnsafe(
                f"the tokenizer adds {len(parts.added)} tokens to its vocabulary, beyond any checkpoint"
            )
        _check_rows((*parts.vocabulary.values(), *parts.added), rows)
    return build_tokenizer(parts)


def has_tokenizer(folder: Path) -> bool:
    """Tell whether a folder holds a tokenizer; transformers 5 saves `tokenizer.json` alone."""
    return (folder / "tokenizer.json").is_file() or _has_pair(folder)


def build_tokenizer(parts: TokenizerParts) -> Any:
    """Return transformers' CLIPTokenizer of these parts.

    Raises:
        ModelError: they do not fit each other.
    """
    from transformers import CLIPTokenizer

    added = {str(number): dict(token) for number, token in sorted(parts.added.items())}
    config = {"tokenizer_class": "CLIPTokenizer", **parts.settings, "added_tokens_decoder": added}
    merges = ["#version: 0.2", *(f"{first} {second}" for first, second in parts.merges), ""]
    # Both generations of the class read files; what they take from memory differs.
    with tempfile.TemporaryDirectory() as name, guarded("the tokenizer's parts do not fit each other"):
        folder = Path(name)
        (folder / "merges.txt").write_text("\n".join(merges), encoding="utf-8")
        (folder / "vocab.json").write_text(json.dumps(dict(parts.vocabulary)), encoding="utf-8")
        (folder / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")
        return CLIPTokenizer.from_pretrained(folder, local_files_only=True)


def _read(folder: Path) -> TokenizerParts:
    whole = folder / "tokenizer.json"
    tree = read_json(whole, most_bytes=_MAX_FILE_BYTES) if whole.is_file() else {}
    pair = _pair(folder) if _has_pair(folder) else None
    vocabulary, merges = _model(tree["model"]) if tree else pair or ({}, [])
    if tree and pair and vocabulary != pair[0]:
        raise ModelUnsafe("tokenizer.json and vocab.json differ, and loaders differ in what they take")
    config = _optional(folder / "tokenizer_config.json")
    is_legacy = "added_tokens_decoder" not in config
    named = _optional(folder / "special_tokens_map.json") if is_legacy else {}
    settings = check("tokenizer/tokenizer_config.json", {**config, **named}, _SETTINGS)
    for name in _NAMED:
        if isinstance(settings.get(name), dict):
            forced = {"special": True} if name in named else {}
            settings[name] = {"__type": "AddedToken", **_token({**settings[name], **forced})}
    added = _legacy_added(folder, tree, settings) if is_legacy else config["added_tokens_decoder"]
    return TokenizerParts(vocabulary, merges, settings, {int(row): _token(token) for row, token in added.items()})


def _model(model: Any) -> tuple[dict[str, int], list[tuple[str, str]]]:
    if not isinstance(model, dict) or model.get("type", "BPE") != "BPE":
        raise ModelUnsupported("tokenizer.json is of another kind than CLIP's")
    merges = [merge.split(" ") if isinstance(merge, str) else merge for merge in model["merges"]]
    return _vocabulary(model["vocab"]), [_merge(merge) for merge in merges]


def _pair(folder: Path) -> tuple[dict[str, int], list[tuple[str, str]]]:
    path = folder / "merges.txt"
    if path.stat().st_size > _MAX_FILE_BYTES:
        raise ModelUnsafe("tokenizer/merges.txt is larger than any tokenizer's")
    # Not `splitlines`, which knows line ends that are tokens here.
    lines = [line.rstrip("\r") for line in path.read_text(encoding="utf-8").split("\n")]
    merges = [_merge(line.split(" ")) for line in lines if line.strip() and not line.startswith("#version")]
    return _vocabulary(read_json(folder / "vocab.json", most_bytes=_MAX_FILE_BYTES)), merges


def _vocabulary(table: Any) -> dict[str, int]:
    if not isinstance(table, dict) or not all(type(number) is int for number in table.values()):
        raise ModelUnsafe("the tokenizer's vocabulary is no table of numbers")
    return table


def _merge(merge: Any) -> tuple[str, str]:
    if not (isinstance(merge, list) and len(merge) == 2 and all(map(_is_symbol, merge))):
        raise ModelUnsafe(f"the tokenizer merges {reprlib.repr(merge)}, which are not two tokens")
    return merge[0], merge[1]


def _is_symbol(part: Any) -> bool:
    # Merges are written as lines of two symbols with a space between.
    return isinstance(part, str) and part != "" and not {" ", "\n", "\r"} & set(part)


def _legacy_added(
    folder: Path, tree: Mapping[str, Any], settings: Mapping[str, Any]
) -> dict[int | str, Mapping[str, Any]]:
    """Return the tokens beyond the vocabulary, id to token, from where they stood before transformers 4.34."""
    named = {
        token["content"] if isinstance(token, dict) else token
        for name, token in settings.items()
        if name in _NAMED
    }
    found: dict[int | str, Mapping[str, Any]] = {}
    for content, row in _optional(folder / "added_tokens.json").items():
        is_special = content in named
        found[row] = {"content": content, "normalized": not is_special, "special": is_special}
    return found | {token["id"]: token for token in tree.get("added_tokens", ())}


def _token(entry: Any) -> dict[str, Any]:
    token = check("a token of the tokenizer", entry, _TOKEN)
    if not token.get("content"):
        raise ModelUnsafe("the tokenizer has a token without text")
    return token


def _check_rows(numbers: Iterable[int], rows: int) -> None:
    row = count(rows - 1, least=0)
    beyond = [number for number in numbers if not row.accepts(number)]
    if beyond:
        raise ModelUnsupported(
            f"the tokenizer has a token {reprlib.repr(beyond[0])}, the text encoder knows {rows}"
        )


def _has_pair(folder: Path) -> bool:
    return all((folder / name).is_file() for name in ("vocab.json", "merges.txt"))


def _optional(path: Path) -> dict[str, Any]:
    return read_json(path, most_bytes=_MAX_FILE_BYTES) if path.is_file() else {}
