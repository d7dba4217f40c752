"""LoRAs and textual inversions, put into a checkpoint's components before they move to their device."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from retouch.errors import InvalidField, ModelNotFound
from retouch.models.components import Components
from retouch.models.hashing import hash_files, identities
from retouch.models.lora import fuse_lora
from retouch.models.options import LoadOptions
from retouch.models.textual_inversion import add_embedding

_SCALE = re.compile(r"(?P<path>.+):(?P<scale>[-+]?\d+(?:\.\d*)?|[-+]?\.\d+)")
_FOLLOWER = re.compile(r"(?P<first>.+)_\d+")
MAX_SCALE = 10.0


def attach(components: Components, options: LoadOptions) -> Components:
    """Fuse the LoRAs and add the textual inversions that the options name.

    Fused weights cost nothing at inference; to change a scale, load the checkpoint again. `adapters` of the
    result says what was added, as `file@hash:scale` and `token@hash`, so that a result can be traced.

    Raises:
        ModelNotFound: a file is not there.
        ModelUnsafe: a file is a pickle that is not allowed, or lies about sizes.
        ModelUnsupported: a file is no adapter for this checkpoint.
        InvalidField: a scale is out of range or a token cannot be used.
    """
    added: list[str] = []
    files = dict(components.files)
    for text in options.loras:
        path, scale = parse_lora(text)
        files |= identities([path])
        fuse_lora(components, path, scale, allow_pickle=options.allow_pickle)
        added.append(f"{path.name}@{_short_hash(path)}:{scale:g}")
    for text in options.embeddings:
        token, path = parse_embedding(text)
        files |= identities([path])
        name = add_embedding(components, token, path, allow_pickle=options.allow_pickle)
        added.append(f"{name}@{_short_hash(path)}")
    return replace(components, adapters=(*components.adapters, *added), files=files)


def parse_lora(text: str) -> tuple[Path, float]:
    """Split `path[:scale]`; a file whose own name ends in a colon and a number wins.

    Raises:
        ModelNotFound: there is no such file.
        InvalidField: the scale is beyond 10.
    """
    path, scale = Path(text).expanduser(), 1.0
    if not path.is_file() and (match := _SCALE.fullmatch(text)):
        path, scale = Path(match["path"]).expanduser(), float(match["scale"])
    if not path.is_file():
        raise ModelNotFound(f"there is no LoRA file at {path}", hint="give it as path or path:scale")
    if abs(scale) > MAX_SCALE:
        raise InvalidField("lora", f"scale {scale:g} is beyond ±{MAX_SCALE:g}")
    return path, scale


def parse_embedding(text: str) -> tuple[str | None, Path]:
    """Split `token=path`; the token of a bare path is None.

    Raises:
        ModelNotFound: there is no such file.
        InvalidField: the token holds white space.
    """
    token, path = None, Path(text).expanduser()
    if not path.is_file() and "=" in text:
        token, _, rest = text.partition("=")
        path = Path(rest).expanduser()
    if not path.is_file():
        raise ModelNotFound(f"there is no embedding file at {path}", hint="give it as path or token=path")
    if token is not None and (not token or any(character.isspace() for character in token)):
        raise InvalidField("embedding", f"{token!r} cannot be a token", hint="a token has no white space")
    return token, path


def expand_tokens(prompt: str, tokenizer: Any) -> str:
    """Spell out the tokens of textual inversions with several vectors: `<x>` becomes `<x> <x>_1 <x>_2`."""
    added = set(tokenizer.get_added_vocab())
    spelled = {}
    for token in sorted(added, key=len, reverse=True):
        parts = [token]
        while f"{token}_{len(parts)}" in added:
            parts.append(f"{token}_{len(parts)}")
        if len(parts) > 1:
            spelled[token] = " ".join(parts)
    if not spelled:
        return prompt
    # In one pass: of `<x>` and `x`, two names of the same vectors, one must not be found within the other.
    pattern = "|".join(map(re.escape, spelled))
    return re.sub(rf"(?:{pattern})(?!_\d)", lambda match: spelled[match[0]], prompt)


def follower_ids(tokenizer: Any) -> frozenset[int]:
    """Return the ids that only follow another: the second and further vectors of textual inversions."""
    added: dict[str, int] = tokenizer.get_added_vocab()
    return frozenset(
        number
        for token, number in added.items()
        if (found := _FOLLOWER.fullmatch(token)) and found["first"] in added
    )


def _short_hash(path: Path) -> str:
    return hash_files([("adapter", path)])[:12]
