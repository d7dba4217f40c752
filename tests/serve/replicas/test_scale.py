"""How many replicas there are."""

from types import SimpleNamespace

import pytest

from retouch.errors import BadInput
from retouch.serve.replicas.scale import ROWS, Scale, by_rows


def test_a_number_is_so_many_replicas() -> None:
    options = Scale.of("3", cpus=2, gpus=0.5, queued=9).options()
    assert options == {
        "num_replicas": 3,
        "ray_actor_options": {"num_cpus": 2, "num_gpus": 0.5},
        "max_queued_requests": 9,
    }


def test_a_range_is_as_many_as_the_queue_asks_for() -> None:
    options = Scale.of("0-4", rows=6).options()
    assert "num_replicas" not in options
    scaling = options["autoscaling_config"]
    assert (scaling["min_replicas"], scaling["max_replicas"], scaling["target_ongoing_requests"]) == (0, 4, 6)


@pytest.mark.parametrize("count", ["", "0", "-1", "4-2", "two", "1-", "1.5", "0-0", "99999"])
def test_what_is_no_number_of_replicas_is_refused(count: str) -> None:
    with pytest.raises(BadInput, match="--replicas"):
        Scale.of(count)


@pytest.mark.parametrize(
    ("rows", "queued", "wanted"),
    [([0.0, 0.0], 0.0, 0), ([1.0], 0.0, 1), ([8.0, 8.0], 0.0, 2), ([8.0, 9.0], 0.0, 3), ([], 3.0, 1)],
)
def test_each_share_of_pictures_wants_a_replica(rows: list[float], queued: float, wanted: int) -> None:
    context = SimpleNamespace(
        aggregated_metrics={ROWS: dict(enumerate(rows))},
        total_queued_requests=queued,
        config=SimpleNamespace(target_ongoing_requests=8.0),
    )
    assert by_rows(context) == (wanted, {})


def test_ray_takes_the_options() -> None:
    config = pytest.importorskip("ray.serve.config")
    told = Scale.of("1-4", rows=5).options()["autoscaling_config"]
    parsed = config.AutoscalingConfig(**told)
    assert parsed.policy.get_policy().__qualname__ == by_rows.__qualname__
