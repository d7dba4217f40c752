"""Textual inversions: new words of the text encoder, under the names that people know them by."""

import logging
from pathlib import Path
from typing import Any

import torch

from retouch.errors import InvalidField, ModelUnsupported
from retouch.models.checks import read_weights, weight_format
from retouch.models.components import Components
from retouch.models.pickles import load_pickle

logger = logging.getLogger(__name__)

_NAMELESS = frozenset({"emb_params", "*"})  # A1111's keys, which are the same in every file
_MAX_TOKEN = 100


def add_embedding(components: Components, token: str | None, path: Path, *, allow_pickle: bool) -> str:
    """Add the vectors of a textual inversion to the tokenizer and the text encoder (in place).

    Args:
        token: its name; None takes those that it goes by: the one that its file carries, `<file name>`, and the
            file name alone where that is no word of the tokenizer.
    Returns:
        The first of the names that it goes by now.
    Raises:
        ModelUnsafe: the file is a pickle that is not allowed, or lies about sizes.
        ModelUnsupported: it is no textual inversion for this checkpoint.
        InvalidField: its names are taken.
    """
    carried, vectors = _read(path, allow_pickle=allow_pickle)
    width = components.text_encoder.config.hidden_size
    if vectors.ndim not in (1, 2) or vectors.shape[-1] != width:
        raise ModelUnsupported(
            f"{path.name} is not a textual inversion for this checkpoint",
            hint=f"its vectors should be {width} wide; they are {tuple(vectors.shape)}",
        )
    names = [token] if token is not None else _names(path, carried)
    free = [name for name in names if not _is_known(name, components.tokenizer)]
    if not free:
        raise InvalidField(
            "embedding", f"the checkpoint already has a token {names[0]!r}", hint="name another one"
        )
    if len(free) < len(names):
        logger.info("%s goes by %s alone: the tokenizer has its other names", path.name, ", ".join(free))
    for name in free:
        _add(components, name, vectors.reshape(-1, width))
    return free[0]


def _read(path: Path, *, allow_pickle: bool) -> tuple[str | None, torch.Tensor]:
    """Return the name that a file carries, if it does, and its vectors."""
    weights = read_weights(path, allow_pickle=allow_pickle)
    if len(weights) != 1:
        raise ModelUnsupported(
            f"{path.name} is not a textual inversion for this checkpoint",
            hint=f"expected one tensor; it has {[tuple(tensor.shape) for tensor in weights.values()][:3]}",
        )
    (key, vectors), name = next(iter(weights.items())), None
    if key not in _NAMELESS:
        name = key  # diffusers' form: the token is the key
    elif weight_format(path) == "pickle":
        name = load_pickle(path, allow_pickle=allow_pickle).get("name")  # A1111's
    return (name if isinstance(name, str) and _can_be_token(name) else None), vectors


def _names(path: Path, carried: str | None) -> list[str]:
    stem = path.stem.lower()
    names = [carried, f"<{stem}>", stem] if carried is not None else [f"<{stem}>", stem]
    return [name for name in dict.fromkeys(names) if _can_be_token(name)] or [f"<{stem}>"]


def _can_be_token(name: str) -> bool:
    return 0 < len(name) <= _MAX_TOKEN and name.isprintable() and not any(map(str.isspace, name))


def _is_known(token: str, tokenizer: Any) -> bool:
    # A bare word would take the place of the tokenizer's own wherever it stands in a prompt.
    ids = tokenizer.convert_tokens_to_ids([token, f"{token}_1", f"{token}</w>"])
    return any(one != tokenizer.unk_token_id for one in ids)


def _add(components: Components, token: str, vectors: torch.Tensor) -> None:
    """Add one token a vector, spelled as diffusers spells them: `<x>`, `<x>_1`, `<x>_2`, ..."""
    tokenizer, encoder = components.tokenizer, components.text_encoder
    tokens = [token, *(f"{token}_{n}" for n in range(1, len(vectors)))]
    tokenizer.add_tokens(tokens)
    with torch.random.fork_rng(devices=[]):
        # New rows of the embedding are drawn at random before they are filled; nobody else shall notice.
        encoder.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    table = encoder.get_input_embeddings().weight
    table.data[tokenizer.convert_tokens_to_ids(tokens)] = vectors.to(table.dtype)
