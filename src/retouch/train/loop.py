"""The training loop: phases, surgery between them, checkpoints that resume exactly."""

import logging
import math
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor

from retouch.engine.yielding import yielding
from retouch.errors import InvalidField
from retouch.train.config import PhaseConfig, TrainConfig
from retouch.train.denoiser import Denoiser
from retouch.train.ema import Ema, trained_parameters
from retouch.train.moments import restore_moments
from retouch.train.phase import Recipe, RowSource
from retouch.train.reading import fit_reading
from retouch.train.rows import Place
from retouch.train.schedule import check_factors, rate_factor, rate_of
from retouch.train.sketch import SketchHead
from retouch.train.storage import load_state, save_atomically
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
    source: RowSource
    model: torch.nn.Module
    optimiser: Any
    peaks: list[float] = field(default_factory=list)


class Trainer:
    """A model on its way through the phases; used by one thread.

    Every process holds one. Gradients are averaged over processes by accelerate; draws depend on the row's place
    alone, so the number of processes changes nothing but rounding.
    """

    def __init__(
        self, config: TrainConfig, denoiser: Denoiser, *, empty_tokens: Tensor, accelerator: Accelerator
    ) -> None:
        self.config = config
        self.denoiser = denoiser
        self.accelerator = accelerator
        self.position = Position()
        self.empty_tokens = empty_tokens.to(accelerator.device)
        self._noise = denoiser.noise.to(accelerator.device)
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

    def _optimiser(self) -> torch.optim.AdamW:
        settings, phase = self.config.optimiser, self.phase
        groups: dict[float, dict[str, torch.nn.Parameter]] = {}
        trained = trained_parameters(self.denoiser)
        check_factors(trained, phase)
        for name, parameter in trained.items():
            groups.setdefault(rate_of(name, phase), {})[name] = parameter
        return torch.optim.AdamW(
            [
                # The names are kept with the state: `restore_moments` finds each parameter by its own.
                {"params": list(group.values()), "names": list(group), "lr": rate}
                for rate, group in groups.items()
            ],
            betas=settings.betas,
            eps=settings.eps,
            weight_decay=settings.weight_decay,
            fused=True,
        )

    def _start_phase(self, source: RowSource) -> Run:
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
        optimiser = self._optimiser()
        peaks = [float(group["lr"]) for group in optimiser.param_groups]
        if self._resumed_optimiser is not None:
            restore_moments(optimiser, self._resumed_optimiser)
            self._resumed_optimiser = None
        self.denoiser.unet.train()
        self.denoiser.text_encoder.train(self.denoiser.train_text)
        model, prepared = accelerator.prepare(self.denoiser, optimiser)
        return Run(recipe, source, model, prepared, peaks)

    def _read_sketches(self, recipe: Recipe, source: RowSource) -> None:
        """Before a phase's first step: the surgery on the attentions that are to read sketches."""
        if not self.phase.read_sketches:
            return
        folder = self.config.model.text.pretrained
        assert folder is not None  # the configuration is checked
        head = SketchHead.load(Path(folder))
        examples = [
            # The rows of a step that is never trained.
            recipe.example_at(self._places(self.phase.steps, micro), source, self.accelerator.device)
            for micro in range(math.ceil(SURGERY_ROWS / self.phase.micro_batch))
        ]
        for attention in self.phase.read_sketches:
            fit_reading(self.denoiser, attention, examples, head)
        self.ema.restart(
            self.denoiser,
            only=tuple(f"unet.{name}.transformer_blocks.0.attn2." for name in self.phase.read_sketches),
        )

    def train(
        self, sources: Callable[[PhaseConfig], RowSource], hooks: Hooks, *, stop: Callable[[], bool]
    ) -> None:
        """Go through the rest of all phases, or until `stop()` after a step."""
        while self.position.phase < len(self.config.phases):
            self._run = self._start_phase(sources(self.phase))
            while not self._is_over:
                started = time.monotonic()
                with yielding():
                    values = self._step(self._run)
                hooks.on_step(self, values)
                self.position.elapsed_s += time.monotonic() - started
                if stop():
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

    def _places(self, step: int, micro: int) -> list[Place]:
        """Rows of micro-batch number `micro` (over all processes and accumulations) of a step of this phase."""
        size, phase = self.phase.micro_batch, self.position.phase
        return [Place(self.config.seed, phase, step, micro * size + row) for row in range(size)]

    def _step(self, run: Run) -> dict[str, Scalar]:
        """One optimiser step over the global batch."""
        accelerator, phase = self.accelerator, self.phase
        accumulate, rest = divmod(phase.global_batch, phase.micro_batch * accelerator.num_processes)
        if rest:
            raise InvalidField("global_batch", f"{accelerator.num_processes} processes cannot share it evenly")
        factor = rate_factor(self.position.step, phase, progress=self._progress)
        for group, peak in zip(run.optimiser.param_groups, run.peaks, strict=True):
            group["lr"] = peak * factor
        totals = torch.zeros(2, device=accelerator.device)
        for turn in range(accumulate):
            micro = turn * accelerator.num_processes + accelerator.process_index
            places = self._places(self.position.step, micro)
            example = run.recipe.example_at(places, run.source, accelerator.device)
            is_last = turn == accumulate - 1
            context = accelerator.no_sync(run.model) if not is_last else nullcontext()
            with context:
                with accelerator.autocast():
                    prediction = run.model(example.unet_input, example.timesteps, example.tokens)
                loss, hole = run.recipe.loss(prediction, example)
                accelerator.backward(loss / accumulate)
            totals += torch.stack([loss.detach(), hole]) / accumulate
        norm = accelerator.clip_grad_norm_(self.denoiser.parameters(), self.config.optimiser.max_grad_norm)
        run.optimiser.step()
        run.optimiser.zero_grad()
        self.ema.update(self.denoiser)
        self.position.step += 1
        return {"loss": totals[0], "hole": totals[1], "grad_norm": norm, "lr_factor": factor}

    def state(self) -> dict[str, Any]:
        """Everything that a resumed run needs; plain containers and tensors."""
        optimiser = (
            self._run.optimiser.optimizer.state_dict() if self._run is not None else self._resumed_optimiser
        )
        return {
            "model": self.denoiser.state_dict(),
            "ema": self.ema.state(),
            "optimiser": optimiser,
            "phase": self.position.phase,
            "step": self.position.step,
            "elapsed_s": self.position.elapsed_s,
            "seed": self.config.seed,
        }

    def save(self, path: Path) -> None:
        """Write the state atomically, from the main process."""
        if self.accelerator.is_main_process:
            save_atomically(self.state(), path)

    def resume(self, path: Path) -> None:
        """Take over a checkpoint. Draws depend on positions alone, so this is all there is to restore."""
        state = load_state(path)
        self.position = Position(state["phase"], state["step"], state.get("elapsed_s", 0.0))
        self._prepare_input()
        self.denoiser.load_state_dict(state["model"])
        self.ema = Ema(self.denoiser, self.config.ema.decay)
        self.ema.load(state["ema"])
        self._resumed_optimiser = state["optimiser"]
        logger.info("resumed at phase %d, step %d", self.position.phase, self.position.step)
