"""How many replicas there are, what each takes of its node, and when there are more or fewer."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from retouch.errors import BadInput

ROWS = "retouch_rows"
"""What a replica tells of itself: pictures that are under way or wait."""
_COUNT = re.compile(r"(\d{1,4})(?:-(\d{1,4}))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Scale:
    """How many replicas, and of what.

    Attributes:
        least, most: replicas; between them there are as many as the queue asks for. None at all (`least` 0) is for
            a model that is rarely asked for: its first request waits until it is loaded.
        rows: pictures under way or waiting that are one replica's share.
        queued: requests that wait for a replica at a time, at each proxy; more are answered 503.
        cpus: cores of a replica.
        gpus: of a replica; a part where several share one.
    """

    least: int = 1
    most: int = 1
    rows: int = 8
    queued: int = 64
    cpus: int = 1
    gpus: float = 0.0

    @classmethod
    def of(cls, count: str, **more: Any) -> Self:
        """Read `N`, or `MIN-MAX`.

        Raises:
            BadInput: it is neither.
        """
        found = _COUNT.fullmatch(count)
        least, most = (int(found[1]), int(found[2] or found[1])) if found else (1, 0)
        if not least <= most or not most:
            raise BadInput(f"--replicas {count!r} is no number of replicas", hint="N, or MIN-MAX such as 1-4")
        return cls(least, most, **more)

    @property
    def is_fixed(self) -> bool:
        return self.least == self.most

    def options(self) -> dict[str, Any]:
        """Return the options of a deployment of Ray Serve that it comes to."""
        actor = {"num_cpus": self.cpus, "num_gpus": self.gpus}
        told: dict[str, Any] = {"ray_actor_options": actor, "max_queued_requests": self.queued}
        if self.is_fixed:
            return told | {"num_replicas": self.most}
        scaling = {
            "min_replicas": self.least,
            "max_replicas": self.most,
            "target_ongoing_requests": self.rows,
            "look_back_period_s": 15.0,
            "upscale_delay_s": 5.0,
            "downscale_delay_s": 300.0,
            "policy": {"policy_function": f"{__name__}:by_rows"},
        }
        return told | {"autoscaling_config": scaling}


def by_rows(context: Any) -> tuple[int, dict[str, Any]]:
    """Return how many replicas the queue asks for, as a policy of Ray Serve.

    Pictures are counted and not requests: a job is answered at once and painted later, a stream of events is a
    request and no work.

    Args:
        context: `ray.serve.config.AutoscalingContext`.
    """
    told: Mapping[str, Mapping[Any, float]] = context.aggregated_metrics or {}
    rows = sum(told.get(ROWS, {}).values()) + (context.total_queued_requests or 0.0)
    return math.ceil(rows / context.config.target_ongoing_requests), {}
