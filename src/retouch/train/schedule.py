"""Learning-rate schedules, as factors of the peak rate."""

import math
from collections.abc import Iterable

from retouch.errors import InvalidField
from retouch.train.config import PhaseConfig


def rate_factor(step: int, phase: PhaseConfig) -> float:
    """Factor in [0, 1] for `step` (from 0): linear warm-up, then constant, cosine to 0, or a last fall.

    `wsd` is warmup-stable-decay (Hu et al. 2024, arXiv:2404.06395).
    """
    if step < phase.warmup_steps:
        return (step + 1) / phase.warmup_steps
    if phase.schedule == "constant":
        return 1.0
    if phase.schedule == "cosine":
        progress = (step - phase.warmup_steps) / max(phase.steps - phase.warmup_steps, 1)
        return 0.5 * (1.0 + math.cos(math.pi * min(progress, 1.0)))
    return falling(step, phase.steps, decay_share=phase.decay_share)


def falling(step: int, steps: int, *, decay_share: float) -> float:
    """1, and over the last `decay_share` of the steps a fall to 0 along 1 - sqrt (arXiv:2405.18392)."""
    decay_steps = max(1, round(decay_share * steps))
    progress = (step - (steps - decay_steps)) / decay_steps
    return 1.0 if progress <= 0.0 else max(0.0, 1.0 - math.sqrt(min(progress, 1.0)))


def rate_of(name: str, phase: PhaseConfig) -> float:
    """The peak learning rate of the parameter of this name."""
    factors = (factor for start, factor in phase.rate_factors.items() if _begins(name, start))
    return phase.learning_rate * next(factors, 1.0)


def check_factors(names: Iterable[str], phase: PhaseConfig) -> None:
    """Refuse a factor that is for none of the trained parameters.

    Raises:
        InvalidField: a name is misspelt, or its part is not trained.
    """
    found = list(names)
    for start in phase.rate_factors:
        if not any(_begins(name, start) for name in found):
            raise InvalidField("rate_factors", f"no trained parameter's name begins with {start}")


def _begins(name: str, start: str) -> bool:
    return name == start or name.startswith(f"{start}.")
