"""What a latent cache is made from: the spec, and what its `cache.json` says before the first latent is there."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

from retouch.data.compose import Split
from retouch.data.mixture import MIXTURES, MixtureName
from retouch.data.shard_index import open_index
from retouch.errors import InvalidField
from retouch.imaging.save import write_atomically
from retouch.models.hashing import hash_files, hash_tensors
from retouch.train.pictures import PictureReader, SceneReader, ShardPictures

FILE_NAME = "cache.json"
Facts = dict[str, str | int | float | None]


@dataclass(frozen=True, slots=True)
class LatentSpec:
    """What a cache is built from, and how large it is."""

    data_dir: Path
    vae_dir: Path
    tokenizer_dir: Path
    folder: Path
    slots: int = 24_576
    size: int = 128
    split: Split = "train"
    seed: int = 0
    mixture: MixtureName = "full"
    words: frozenset[str] | None = None
    """Only objects that these can name; None for all."""
    kind: Literal["scenes", "shards"] = "scenes"
    """What `data_dir` holds. Of `shards` each slot has its own crop and mask; so has a sample's next epoch."""
    full_mask_rate: float = 0.25
    """Of shards; scenes bring their own share."""
    workers: int = 0
    """Processes that read or compose ahead."""
    allow_pickle: bool = False
    """Also read a VAE's pickled weights."""

    @property
    def has_sketches(self) -> bool:
        """Whether scenes may show what their captions do not say."""
        return self.kind == "scenes" and MIXTURES[self.mixture].unnamed > 0.0

    def reader(self) -> Callable[[], PictureReader]:
        """What opens the pictures, in each worker."""
        if self.kind == "shards":
            index = open_index(str(self.data_dir), workers=self.workers)
            rate = self.full_mask_rate
            return partial(ShardPictures, index, size=self.size, full_mask_rate=rate, seed=(self.seed,))
        return partial(
            SceneReader,
            self.data_dir,
            size=self.size,
            mixture=self.mixture,
            seed=(self.seed,),
            split=self.split,
            words=self.words,
        )


def describe_cache(spec: LatentSpec, vae: Any, tokenizer: Any) -> Facts:
    """What decides the content of a cache, wherever its parts lie."""
    facts: Facts = {
        "size": spec.size,
        "slots": spec.slots,
        "seed": spec.seed,
        "kind": spec.kind,
        "vae_sha256": hash_tensors(vae.state_dict())[:16],
        "scaling_factor": float(vae.config.scaling_factor),
        "shift_factor": vae.config.get("shift_factor"),
        "device": vae.device.type,
        "tokenizer": _digest([sorted(tokenizer.get_vocab().items()), tokenizer.model_max_length]),
    }
    if spec.kind == "shards":
        index = open_index(str(spec.data_dir), workers=spec.workers)
        return facts | {"data": index.digest(), "full_mask_rate": spec.full_mask_rate}
    return facts | {
        "data": hash_files((file.name, file) for file in spec.data_dir.glob("*.npz"))[:16],
        "split": spec.split,
        "mixture": spec.mixture,
        "words": None if spec.words is None else _digest(sorted(spec.words)),
    }


def check_facts(folder: Path, facts: Facts, *, seen: Facts) -> None:
    """Compare what a cache was made from with what it is to be filled from now; an older one says less of itself.

    Args:
        seen: what its arrays say.
    Raises:
        InvalidField: it was made from something else.
    """
    file = folder / FILE_NAME
    before = seen | (json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {})
    for name, value in facts.items():
        if name in before and before[name] != value:
            raise InvalidField(
                name,
                f"the cache in {folder} was made with {before[name]}, and is to be filled with {value}",
                hint="put it back, or give another folder",
            )


def write_facts(folder: Path, facts: Facts) -> None:
    """Note what a cache is made from."""
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / FILE_NAME, json.dumps(facts, indent=1).encode())


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()[:16]
