"""A whole training run from a configuration: builds the parts, wires log, checkpoints, samples and export."""

import logging
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from accelerate import Accelerator
from PIL import Image

from retouch.errors import InvalidField
from retouch.models.components import Components
from retouch.models.devices import fast_dtypes, pick_device
from retouch.train.config import TrainConfig
from retouch.train.denoiser import build_denoiser, empty_tokens
from retouch.train.export import write_folder
from retouch.train.held_out import HeldOut
from retouch.train.history import History, check_same
from retouch.train.loop import Hooks, Scalar, Trainer
from retouch.train.origin import describe_model, load_origin
from retouch.train.phase import Source
from retouch.train.progress import RunLog
from retouch.train.samples import draw_fills, draw_samples, held_out_places, make_grid
from retouch.train.sources import Sources
from retouch.train.split import caption_words
from retouch.train.stopping import Stop
from retouch.train.storage import is_publishable, publish_folder

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What the command line adds to the configuration."""

    config: TrainConfig
    run_dir: Path
    cpu: bool = False
    max_steps: int | None = None
    """Stop after this many optimiser steps of this call."""
    accept_changes: bool = False
    """Go on though seed, data or model are not the checkpoint's."""
    on_report: Callable[[str, int, dict[str, float]], None] | None = None
    """Called with a phase's name, its steps and each line of the log."""


class RunKeeper:
    """The loop's hooks: log lines, checkpoints, validation, sample grids, exports; main process only."""

    def __init__(self, options: RunOptions, parts: Components, sources: Sources, device: torch.device) -> None:
        self._config = options.config
        self._folder = options.run_dir
        self._history = History(options.run_dir, keep=options.config.log.keep)
        self._sources = sources
        self._parts = parts
        self._held_out = HeldOut(parts, device, split=sources.split)
        self._on_report = options.on_report
        total = sum(phase.steps * phase.global_batch for phase in self._config.phases)
        self._log = RunLog(options.run_dir / "log.jsonl", total=total)
        self._saved_at = self._drawn_at = time.monotonic()
        self._writer = self._tensorboard()

    def _tensorboard(self) -> object | None:
        if not self._config.log.tensorboard:
            return None
        from torch.utils.tensorboard import SummaryWriter

        return SummaryWriter(self._folder / "tensorboard")

    def samples_done(self, trainer: Trainer) -> int:
        """Rows seen since the beginning of the run."""
        before = self._config.phases[: trainer.position.phase]
        done = sum(phase.steps * phase.global_batch for phase in before)
        return done + trainer.position.step * trainer.phase.global_batch

    def on_step(self, trainer: Trainer, values: dict[str, Scalar]) -> None:
        settings = self._config.log
        self._log.note(**values)
        step = trainer.position.step
        if step % settings.report_every_steps == 0:
            samples = self.samples_done(trainer)
            line = self._log.report(step=step, samples=samples)
            self._scalars(line, samples)
            if self._on_report is not None:
                self._on_report(trainer.phase.name, trainer.phase.steps, line)
        now = time.monotonic()
        is_due = settings.save_every_steps is not None and step % settings.save_every_steps == 0
        if is_due or now - self._saved_at >= settings.save_every_s:
            self.on_save(trainer)

    def _scalars(self, line: dict[str, float], samples: int) -> None:
        if self._writer is not None:
            for name, value in line.items():
                self._writer.add_scalar(name, value, samples)  # type: ignore[attr-defined]

    def save(self, trainer: Trainer) -> None:
        """Write a checkpoint."""
        self._history.save(trainer.state() | {"data": self._sources.describe(trainer.phase)})

    def on_save(self, trainer: Trainer) -> None:
        """Checkpoint first; then what is derived from it: validation, samples, export."""
        self.save(trainer)
        self._saved_at = time.monotonic()
        samples = self.samples_done(trainer)
        settings = self._config.log
        is_drawing_due = self._saved_at - self._drawn_at >= settings.samples_every_s
        data = trainer.phase.data
        if not (is_drawing_due or settings.publish or data.validation or data.kind == "folder"):
            return
        # A compiled model would be compiled again for the few rows of these.
        with trainer.ema.swapped_in(trainer.denoiser), torch.compiler.set_stance("force_eager"):
            trainer.denoiser.eval()
            self._validate(trainer, samples)
            if is_drawing_due:
                self._draw(trainer, samples)
            if settings.publish is not None:
                publish_folder(settings.publish, self.export)
            trainer.denoiser.train()
            trainer.denoiser.text_encoder.train(trainer.denoiser.train_text)

    def _validate(self, trainer: Trainer, samples: int) -> None:
        if losses := self._held_out.losses(trainer):
            self._log.note(**losses)
            self._scalars(self._log.report(step=trainer.position.step, samples=samples), samples)

    def _draw(self, trainer: Trainer, samples: int) -> None:
        settings = self._config.log
        self._drawn_at = time.monotonic()
        images: list[Image.Image] = []
        if settings.prompts and settings.scenes is not None:
            places = held_out_places(settings.scenes, count=len(settings.prompts), size=trainer.phase.data.size)
            images = draw_samples(self._parts, settings.prompts, places)
        elif pictures := self._held_out.pictures(trainer.phase):
            images = draw_fills(self._parts, pictures)
        if images:
            folder = self._folder / "samples"
            folder.mkdir(exist_ok=True)
            make_grid(images).save(folder / f"{samples:09d}.png")

    def export(self, folder: Path) -> None:
        """Write the folder of the weights that the model holds now."""
        write_folder(self._parts, folder)


def start(options: RunOptions) -> tuple[Trainer, Components]:
    """Build the trainer, and resume where a checkpoint of `run_dir` stands.

    Raises:
        InvalidField: the run was begun with another model.
    """
    config = options.config
    # Accelerate must be told that a machine has only processors, or each of several processes takes itself for the
    # only one.
    device = torch.device("cpu") if options.cpu else pick_device(None)
    accelerator = Accelerator(mixed_precision=_precision(config, device), cpu=device.type == "cpu")
    torch.manual_seed(config.seed)  # the initialisation's; every later draw is a row's own
    parts = load_origin(config.model, config.export)
    if parts.notes.vocabulary is not None:
        words = parts.notes.vocabulary | caption_words(config.phases)
        parts = replace(parts, notes=replace(parts.notes, vocabulary=words))
    denoiser = build_denoiser(config.model, parts)
    trainer = Trainer(
        config,
        denoiser,
        empty_tokens=empty_tokens(parts.tokenizer),
        accelerator=accelerator,
        origin=describe_model(config.model, parts),
    )
    checkpoint = History(options.run_dir).load()
    if checkpoint is not None:
        if not options.accept_changes:
            check_same(checkpoint.get("origin", {}), trainer.origin)
        trainer.resume(checkpoint)
    return trainer, parts


def _precision(config: TrainConfig, device: torch.device) -> str:
    is_fast = "bf16" in fast_dtypes(device)
    if config.mixed_precision == "auto":
        return "bf16" if is_fast else "no"
    if config.mixed_precision == "bf16" and device.type == "cpu" and not is_fast:
        logger.warning("this processor has no instructions for bf16: `mixed_precision: auto` will be far faster")
    return config.mixed_precision


def run_training(options: RunOptions) -> Trainer:
    """Train to the end of the last phase, or until stopped; the state is saved either way.

    Raises:
        InvalidField: the run was begun with another seed, other data or another model; or exports have no place.
        KeyboardInterrupt: a signal came twice, or while a single process opened its data.
    """
    _check_place(options.config.log.publish)
    trainer, parts = start(options)
    with Sources(options.config, parts, trainer.accelerator) as sources, Stop(options.max_steps) as stop:
        if not options.accept_changes:
            check_same(trainer.begun_with, {"seed": options.config.seed, **sources.describe(trainer.phase)})

        def rows(trainer: Trainer) -> Source:
            # Of several processes none leaves before a step: the others would wait for it.
            with stop.at_once() if trainer.accelerator.num_processes == 1 else nullcontext():
                return sources.open(trainer)

        if not trainer.accelerator.is_main_process:
            trainer.train(rows, Hooks(), stop=stop)
            return trainer
        options.run_dir.mkdir(parents=True, exist_ok=True)
        keeper = RunKeeper(options, parts, sources, trainer.accelerator.device)
        trainer.train(rows, Hooks(on_step=keeper.on_step, on_save=keeper.on_save), stop=stop)
        keeper.save(trainer)
        return trainer


def _check_place(publish: Path | None) -> None:
    if publish is not None and not is_publishable(publish):
        raise InvalidField(
            "log.publish",
            f"{publish} is there already, and no earlier run has published it",
            hint="name a new folder, or take this one away",
        )
