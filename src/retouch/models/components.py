"""`Components`: a checkpoint's parts as loaded, before the facts about them are derived."""

import json
import reprlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

from retouch.errors import ModelUnsupported
from retouch.imaging.choices import Continuation, SeamMode
from retouch.models.bundle import Recommended
from retouch.models.layout import read_json
from retouch.models.rules import NAME, TEXT, WORDS, count, each, number, one_of, optional
from retouch.request import DEFAULT_LIMITS

_MOST_WORDS = 200
_ADVICE = {
    "num_inference_steps": optional(count(DEFAULT_LIMITS.num_inference_steps)),
    "guidance_scale": optional(number(0, DEFAULT_LIMITS.guidance_scale)),
    "scheduler": optional(TEXT),
    "context": optional(number(0, 4)),
    "prompt_tokens": optional(count(1_000, least=3)),
    "seam": optional(one_of(*get_args(SeamMode))),
    "removal": optional(one_of(*get_args(Continuation))),
    "removal_prompts": optional(each(NAME, least=0, most=_MOST_WORDS)),
    "variants": optional(each(WORDS, least=0)),
    "variants_of": optional(each(NAME, most=_MOST_WORDS)),
}


@dataclass(frozen=True, slots=True)
class Notes:
    """What the makers of a checkpoint say about it in `retouch.json`, a file beside `model_index.json`.

    Attributes:
        recommended: settings for requests that are silent.
        vocabulary: the words that a small model knows, lower case; None for open vocabulary.
        licence: a name or an SPDX identifier.
    """

    recommended: Recommended = field(default_factory=Recommended)
    vocabulary: frozenset[str] | None = None
    licence: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Components:
    """The parts of one checkpoint.

    Attributes:
        scheduler_config: the scheduler's config as it stands on disk, `_class_name` included.
        content_hash: SHA-256 over the weights.
        files: those that the weights are read from, and what the system said of each before (`identities`).
    """

    unet: Any
    vae: Any
    text_encoder: Any
    tokenizer: Any
    scheduler_config: Mapping[str, Any]
    content_hash: str
    safety_checker: Any | None = None
    feature_extractor: Any | None = None
    notes: Notes = field(default_factory=Notes)
    adapters: tuple[str, ...] = ()
    files: Mapping[Path, str] = field(default_factory=dict)


def read_notes(folder: Path) -> Notes:
    """Read `retouch.json` of a folder; where there is none, nothing is recommended.

    Raises:
        ModelUnsafe: the file is no JSON object.
        ModelUnsupported: a value is of the wrong kind.
    """
    path = folder / "retouch.json"
    if not path.is_file():
        return Notes()
    content = read_json(path)
    advice, words = content.get("recommended", {}), content.get("vocabulary")
    if not isinstance(advice, dict) or not (words is None or isinstance(words, list)):
        raise ModelUnsupported("retouch.json: `recommended` must be an object and `vocabulary` a list")
    for name, rule in _ADVICE.items():
        if not rule.accepts(advice.get(name)):
            raise ModelUnsupported(
                f"retouch.json: {name} is {reprlib.repr(advice[name])}", hint=f"expected {rule.expected}"
            )
    values: dict[str, Any] = {
        name: tuple(map(str.lower, value)) if isinstance(value := advice.get(name), list) else value
        for name in _ADVICE
    }
    return Notes(
        recommended=Recommended(**values),
        vocabulary=None if words is None else frozenset(str(word).lower() for word in words),
        licence=str(content.get("licence", "")),
    )


def write_notes(folder: Path, notes: Notes) -> None:
    """Write `retouch.json` into a folder, for `read_notes`."""
    content: dict[str, Any] = {
        "recommended": {name: getattr(notes.recommended, name) for name in _ADVICE},
        "licence": notes.licence,
    }
    if notes.vocabulary is not None:
        content["vocabulary"] = sorted(notes.vocabulary)
    (folder / "retouch.json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
