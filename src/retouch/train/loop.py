"""The training loop: phases, surgery between them, checkpoints that resume exactly."""

import logging
import math
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor

from retouch.engine.yielding import yielding
from retouch.errors import ModelError
from retouch.train.agreement import Agreement
from retouch.train.config import PhaseConfig, TrainConfig
from retouch.train.denoiser import Denoiser
from retouch.train.ema import Ema
from retouch.train.moments import make_optimiser, restore_moments
from retouch.train.phase import OrderedSource, Recipe, Source
from retouch.train.pocket.reading import fit_reading
from retouch.train.rows import Place, Share
from retouch.train.schedule import rate_factor
from retouch.train.sketches import SketchHead
from retouch.train.surgery import INPAINT_CHANNELS, widen_input

logger = logging.getLogger(__name__)

Scalar = float | Tensor
"""A value of a step's log; a tensor is read when the log is written, not in the step, which would wait for it."""
SURGERY_ROWS = 256
"""Examples that a surgery learns from."""


@dataclass(slots=True)
class Position:
    """How far the run is: `step` steps of phase `phase`, in so many seconds. The loop alone changes it."""

    phase: int = 0
    step: int = 0
    elapsed_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Hooks:
    """What the loop calls; none of it may change the weights."""

    on_step: Callable[["Trainer", dict[str, Scalar]], None] = lambda _trainer, _values: None
    on_save: Callable[["Trainer"], None] = lambda _trainer: None


@dataclass(slots=True)
class Run:
    """What one phase needs while it lasts."""

    recipe: Recipe
    source: Source
    share: Share
    model: torch.nn.Module
    optimiser: Any
    peaks: list[float] = field(default_factory=list)


class Trainer:
    """A model on its way through the phases; used by one thread.

    Every process holds one. Gradients are averaged over processes by accelerate; draws depend on the row's place
    alone, so the number of processes changes nothing but rounding.
    """

    def __init__(
        self,
        config: TrainConfig,
        denoiser: Denoiser,
        *,
        empty_tokens: Tensor,
        accelerator: Accelerator,
        origin: Mapping[str, str] | None = None,
    ) -> None:
        self.config = config
        self.denoiser = denoiser
        self.origin = dict(origin or {})
        """What the model is made of, for its checkpoints to say."""
        self.accelerator = accelerator
        self.position = Position()
        self.empty_tokens = empty_tokens.to(accelerator.device)
        self._noise = denoiser.noise.to(accelerator.device)
        self.begun_with: dict[str, Any] = {}
        """Seed and data of the checkpoint that was resumed."""
        self._resumed_optimiser: dict[str, Any] | None = None
        self._prepare_input()
        denoiser.to(accelerator.device)  # before the averages, which live where the weights do
        self.ema = Ema(denoiser, config.ema.decay)
        if config.model.compile:
            denoiser.unet.compile()  # in place: its parameters keep their names
        self._run: Run | None = None

    @property
    def phase(self) -> PhaseConfig:
        return self.config.phases[self.position.phase]

    def _prepare_input(self) -> None:
        """The surgery, where the phase at hand inpaints, or a later one shall find the UNet as it is."""
        if self.phase.task == "inpaint" or self.config.model.widen_first:
            widen_input(self.denoiser.unet)

    @property
    def share(self) -> Share:
        """The micro-batches of this phase's steps that this process takes.

        Raises:
            InvalidField: the processes cannot share the batch evenly.
        """
        phase, accelerator = self.phase, self.accelerator
        rank, world = accelerator.process_index, accelerator.num_processes
        return Share.of(phase.global_batch, phase.micro_batch, rank=rank, world=world)

    def _start_phase(self, source: Source) -> Run:
        accelerator = self.accelerator
        recipe = Recipe(
            self.phase,
            self._noise,
            self.denoiser.predicts,
            self.empty_tokens,
            is_widened=self.denoiser.unet.config.in_channels == INPAINT_CHANNELS,
        )
        if self.position.step == 0:
            self._read_sketches(recipe, source)
        optimiser = make_optimiser(self.denoiser, self.config.optimiser, self.phase)
        peaks = [float(group["lr"]) for group in optimiser.param_groups]
        if self._resumed_optimiser is not None:
            restore_moments(optimiser, self._resumed_optimiser)
            self._resumed_optimiser = None
        self.denoiser.unet.train()
        self.denoiser.text_encoder.train(self.denoiser.train_text)
        model, prepared = accelerator.prepare(self.denoiser, optimiser)
        return Run(recipe, source, self.share, model, prepared, peaks)

    def _read_sketches(self, recipe: Recipe, source: Source) -> None:
        """Before a phase's first step: the surgery on the attentions that are to read sketches."""
        if not self.phase.read_sketches:
            return
        folder = self.config.model.text.pretrained
        assert folder is not None  # the configuration is checked
        head = SketchHead.load(Path(folder))
        share = self.share
        examples = [
            # The rows of a step that is never trained.
            recipe.example_at(self._places(self.phase.steps, share.rows(micro)), source, self.accelerator.device)
            for micro in range(math.ceil(SURGERY_ROWS / share.micro_batch))
        ]
        for attention in self.phase.read_sketches:
            fit_reading(self.denoiser, attention, examples, head)
        self.ema.restart(
            self.denoiser,
            only=tuple(f"unet.{name}.transformer_blocks.0.attn2." for name in self.phase.read_sketches),
        )

    def train(self, sources: Callable[["Trainer"], Source], hooks: Hooks, *, stop: Callable[[], bool]) -> None:
        """Go through the rest of all phases, or until `stop()` after a step, in any of the processes."""
        agreement = Agreement()
        while self.position.phase < len(self.config.phases):
            self._run = self._start_phase(sources(self))
            while not self._is_over:
                started = time.monotonic()
                with yielding():
                    values = self._step(self._run)
                hooks.on_step(self, values)
                is_stopping, self.position.elapsed_s = agreement.settle(
                    stop=stop(), elapsed_s=self.position.elapsed_s + time.monotonic() - started
                )
                if is_stopping:
                    return
            hooks.on_save(self)
            if self.position.phase + 1 == len(self.config.phases):
                return
            self._next_phase()

    @property
    def _progress(self) -> float:
        """The share of the phase that is done: of its steps or of its time, whichever is more."""
        limit = self.phase.time_limit_s
        return max(
            self.position.step / self.phase.steps, 0.0 if limit is None else self.position.elapsed_s / limit
        )

    @property
    def _is_over(self) -> bool:
        return self._progress >= 1.0

    def _next_phase(self) -> None:
        self._run = None  # with its optimiser: the next phase begins with fresh moments
        self.accelerator.free_memory()
        self.position = Position(self.position.phase + 1, 0)
        before = self.ema
        self._prepare_input()
        self.ema = Ema(self.denoiser, self.config.ema.decay)
        self.ema.updates = before.updates
        for name, shadow in before.shadows.items():
            own = self.ema.shadows[name]
            # The widened layer alone has another shape: its first channels carry on, the new ones are zero.
            (own if own.shape == shadow.shape else own[:, : shadow.shape[1]]).copy_(shadow)

    def _places(self, step: int, rows: range) -> list[Place]:
        """Rows of a step of this phase; they count within the global batch."""
        return [Place(self.config.seed, self.position.phase, step, row) for row in rows]

    def _step(self, run: Run) -> dict[str, Scalar]:
        """One optimiser step over the global batch."""
        accelerator = self.accelerator
        factor = rate_factor(self.position.step, self.phase, progress=self._progress)
        for group, peak in zip(run.optimiser.param_groups, run.peaks, strict=True):
            group["lr"] = peak * factor
        totals = self._gather_gradients(run)
        norm = accelerator.clip_grad_norm_(self.denoiser.parameters(), self.config.optimiser.max_grad_norm)
        run.optimiser.step()
        run.optimiser.zero_grad()
        self.ema.update(self.denoiser)
        self.position.step += 1
        notes = run.source.take_notes() if isinstance(run.source, OrderedSource) else {}
        return {"loss": totals[0], "hole": totals[1], "grad_norm": norm, "lr_factor": factor, **notes}

    def _gather_gradients(self, run: Run) -> Tensor:
        """Go through this process's micro-batches of the step; return the mean loss, and that of the hole.

        Nothing here waits for an accelerator.
        """
        accelerator, micros = self.accelerator, run.share.micros()
        totals = torch.zeros(2, device=accelerator.device)
        for micro in micros:
            places = self._places(self.position.step, run.share.rows(micro))
            example = run.recipe.example_at(places, run.source, accelerator.device)
            places[0].seed_layers()
            with nullcontext() if micro == micros[-1] else accelerator.no_sync(run.model):
                with accelerator.autocast():
                    prediction = run.model(example.unet_input, example.timesteps, example.tokens, example.sketches)
                loss, hole = run.recipe.loss(prediction, example)
                accelerator.backward(loss / len(micros))
            totals += torch.stack([loss.detach(), hole]) / len(micros)
        return totals

    def state(self) -> dict[str, Any]:
        """Everything that a resumed run needs; plain containers and tensors."""
        optimiser = (
            self._run.optimiser.optimizer.state_dict() if self._run is not None else self._resumed_optimiser
        )
        scaler = self.accelerator.scaler
        return {
            "model": self.denoiser.state_dict(),
            "ema": self.ema.state(),
            "optimiser": optimiser,
            "scaler": None if scaler is None else scaler.state_dict(),
            "phase": self.position.phase,
            "step": self.position.step,
            "elapsed_s": self.position.elapsed_s,
            "seed": self.config.seed,
            "origin": self.origin,
        }

    def resume(self, state: dict[str, Any]) -> None:
        """Take over a checkpoint. Draws depend on positions alone, so this is all there is to restore.

        Raises:
            ModelError: its weights are those of a model of another form.
        """
        self.position = Position(state["phase"], state["step"], state.get("elapsed_s", 0.0))
        self._prepare_input()
        try:
            self.denoiser.load_state_dict(state["model"])
        except RuntimeError as error:
            raise ModelError(
                "the checkpoint's weights do not fit the recipe's model", hint="begin anew in another folder"
            ) from error
        self.ema = Ema(self.denoiser, self.config.ema.decay)
        self.ema.load(state["ema"])
        self._resumed_optimiser = state["optimiser"]
        if self.accelerator.scaler is not None and state.get("scaler"):
            self.accelerator.scaler.load_state_dict(state["scaler"])
        self.begun_with = {"seed": state["seed"], **state.get("data", {})}
        logger.info("resumed at phase %d, step %d", self.position.phase, self.position.step)
