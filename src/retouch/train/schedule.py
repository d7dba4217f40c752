"""Learning-rate schedules, as factors of the peak rate."""

import math
from collections.abc import Iterable

from retouch.errors import InvalidField
from retouch.train.config import PhaseConfig


def rate_factor(step: int, phase: PhaseConfig, *, progress: float | None = None) -> float:
    """Factor in [0, 1] for `step` (from 0): linear warm-up, then constant, cosine to 0, or a last fall.

    `progress` in [0, 1] is the share of the phase that is done; by its steps, where nothing else is said.

    `wsd` is warmup-stable-decay (Hu et al. 2024, arXiv:2404.06395).
    """
    if step < phase.warmup_steps:
        return (step + 1) / phase.warmup_steps
    progress = step / phase.steps if progress is None else progress
    if phase.schedule == "constant":
        return 1.0
    if phase.schedule == "cosine":
        start = phase.warmup_steps / phase.steps
        done = (progress - start) / max(1.0 - start, 1e-9)
        return 0.5 * (1.0 + math.cos(math.pi * min(max(done, 0.0), 1.0)))
    return falling(progress, decay_share=phase.decay_share)


def falling(progress: float, *, decay_share: float) -> float:
    """1, and over the last `decay_share` of the way from 0 to 1 a fall to 0 along 1 - sqrt (arXiv:2405.18392)."""
    left = round((1.0 - progress) / max(decay_share, 1e-9), 9)  # so that the fall begins and ends where it should
    return 1.0 if left >= 1.0 else 1.0 - math.sqrt(1.0 - max(left, 0.0))


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
