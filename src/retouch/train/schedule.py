"""Learning-rate schedules, as factors of the peak rate."""

import math

from retouch.train.config import PhaseConfig


def rate_factor(step: int, phase: PhaseConfig) -> float:
    """Factor in [0, 1] for `step` (from 0): linear warm-up, then constant, cosine to 0, or a last fall.

    `wsd` is warmup-stable-decay (Hu et al. 2024, arXiv:2404.06395) with a fall along 1 - sqrt (arXiv:2405.18392).
    """
    if step < phase.warmup_steps:
        return (step + 1) / phase.warmup_steps
    if phase.schedule == "constant":
        return 1.0
    if phase.schedule == "cosine":
        progress = (step - phase.warmup_steps) / max(phase.steps - phase.warmup_steps, 1)
        return 0.5 * (1.0 + math.cos(math.pi * min(progress, 1.0)))
    decay_steps = max(1, round(phase.decay_share * phase.steps))
    progress = (step - (phase.steps - decay_steps)) / decay_steps
    return 1.0 if progress <= 0.0 else max(0.0, 1.0 - math.sqrt(min(progress, 1.0)))
