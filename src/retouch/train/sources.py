"""The rows of a run's phases, opened from the recipe; and what of them a resumed run has to find again."""

import logging
from collections.abc import Callable
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Self

from accelerate import Accelerator
from accelerate.utils import gather_object

from retouch.data.shard_index import ShardIndex, open_index
from retouch.errors import BadInput
from retouch.models.components import Components
from retouch.train.agreement import Agreement
from retouch.train.config import DataConfig, PhaseConfig, PoolConfig, TrainConfig
from retouch.train.feed import FeedSpec, each_its_own, read_ahead
from retouch.train.folder_source import open_folder
from retouch.train.latents import LatentCache
from retouch.train.loop import Trainer
from retouch.train.phase import RowSource, Source
from retouch.train.pictures import PictureReader, SceneReader, ShardPictures
from retouch.train.pool import Incoming, LatentPool
from retouch.train.split import Split, split_folder
from retouch.train.stream import MOST_WARNINGS, PictureStream

logger = logging.getLogger(__name__)

Described = dict[str, str | int | float]


class Sources:
    """Opens the rows of phases; one for each process of a run, and asked by all of them at the same points."""

    def __init__(self, config: TrainConfig, parts: Components, accelerator: Accelerator) -> None:
        self._config = config
        self._parts = parts
        self._accelerator = accelerator
        self._indexes: dict[Path, ShardIndex] = {}
        self._splits: dict[str, Split] = {}
        self._kept: dict[str, RowSource] = {}
        self._incoming: Incoming | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._end_readers()

    def open(self, trainer: Trainer) -> Source:
        """The rows of the trainer's phase; pictures are encoded on its device."""
        phase = trainer.phase
        if phase.data.kind == "latents":
            return LatentCache(phase.data.folder)
        if phase.data.kind == "folder" or phase.data.pool is not None:
            # Phases that read the same share it: what was encoded is there, and a pool's readers are at work.
            if phase.reads not in self._kept:
                self._kept.clear()
                self._end_readers()
                self._kept[phase.reads] = self._filled(trainer)
            return self._kept[phase.reads]
        return PictureStream(
            FeedSpec(
                self._reader(phase, (self._config.seed, trainer.position.phase)),
                self._parts.tokenizer,
                workers=phase.data.workers,
            ),
            self._parts.vae,
            share=trainer.share,
            size=phase.data.size,
            device=trainer.accelerator.device,
            hides=phase.task == "inpaint",
        )

    def describe(self, phase: PhaseConfig) -> Described:
        """What decides which rows a phase sees, beside the seed."""
        data = phase.data
        found: Described = {"data.kind": data.kind, "data.size": data.size}
        if data.kind == "shards":
            # Wherever they are mounted.
            found["data.folder (its shards)"] = self._index(data).digest()
            return found | {"data.window": data.window, "full_mask_rate": phase.full_mask_rate}
        if data.kind == "folder":
            found["data.folder (its pictures)"] = self.split(data).digest
            found["data.folder (its masks)"] = self.split(data).mask_digest
            return found | {"data.pictures": data.pictures.model_dump_json(exclude={"cache"})}
        found["data.folder"] = str(data.folder.resolve())
        return found | ({"data.mixture": data.mixture} if data.kind == "scenes" else {})

    def _filled(self, trainer: Trainer) -> RowSource:
        """What holds encoded examples in memory."""
        data = trainer.phase.data
        if data.kind == "folder":
            items = self.split(data).train
            device = trainer.accelerator.device
            return open_folder(items, trainer.phase, self._parts, device, agreement=Agreement())
        assert data.pool is not None
        return self._pool(trainer, data.pool)

    def _pool(self, trainer: Trainer, settings: PoolConfig) -> LatentPool:
        phase, position = trainer.phase, trainer.position
        # What a run that was interrupted has read before is not what it begins with.
        reader = self._reader(phase, (self._config.seed, position.phase, position.step))
        feed = FeedSpec(reader, self._parts.tokenizer, workers=settings.workers)
        numbers = each_its_own(rank=trainer.share.rank, world=trainer.share.world)
        device = trainer.accelerator.device
        self._incoming = Incoming(read_ahead(feed, numbers, pin_memory=device.type == "cuda"))
        return LatentPool(
            self._incoming,
            self._parts.vae,
            size=phase.data.size,
            slots=settings.slots,
            ready=settings.ready,
            device=device,
        )

    def _end_readers(self) -> None:
        if self._incoming is not None:
            self._incoming.close()
            self._incoming = None

    def split(self, data: DataConfig) -> Split:
        """A folder's pictures as they were when the run first looked: later changes are not what it trains on."""
        key = data.model_dump_json()
        if key not in self._splits:
            self._splits[key] = split_folder(data)
        return self._splits[key]

    def _reader(self, phase: PhaseConfig, seed: tuple[int, ...]) -> Callable[[], PictureReader]:
        """What opens a phase's pictures, in each worker."""
        data = phase.data
        if data.kind != "shards":
            return partial(SceneReader, data.folder, size=data.size, mixture=data.mixture, seed=seed)
        return partial(
            ShardPictures,
            self._index(data),
            size=data.size,
            full_mask_rate=phase.full_mask_rate,
            window=data.window,
            seed=seed,
        )

    def _index(self, data: DataConfig) -> ShardIndex:
        """The shards' index; where it is not made yet, one process of each machine makes it for the others."""
        if data.folder not in self._indexes:
            accelerator = self._accelerator
            for is_its_turn in (accelerator.is_main_process, accelerator.is_local_main_process, True):
                if is_its_turn and data.folder not in self._indexes:
                    self._indexes[data.folder] = open_index(str(data.folder), workers=data.workers)
                accelerator.wait_for_everyone()
            # Shards that differ between machines would give rows twice, and others never.
            if len(set(gather_object([self._indexes[data.folder].digest()]))) > 1:
                raise BadInput(
                    f"{data.folder} holds other shards on another machine", hint="copy or mount it anew"
                )
            if accelerator.is_main_process:
                _tell_broken(self._indexes[data.folder])
        return self._indexes[data.folder]


def _tell_broken(index: ShardIndex) -> None:
    for shard, reason, times in islice(index.broken(), MOST_WARNINGS):
        logger.warning("passed over in %s: %s (%d)", shard, reason, times)
    broken = sum(1 for entry in index.entries if entry.broken)
    if broken > MOST_WARNINGS:
        logger.warning("%d of %d shards hold what cannot be read", broken, len(index.entries))
