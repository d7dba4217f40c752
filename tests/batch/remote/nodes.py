"""Ray clusters of several nodes on this machine: no dashboard, no statistics, little memory, nothing left."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]
_SOON = {"health_check_initial_delay_ms": 0, "health_check_period_ms": 300, "health_check_failure_threshold": 3}
"""A node that is gone is noticed within a second or two."""
_NODE: dict[str, Any] = {"num_gpus": 0, "object_store_memory": 80 * 2**20, "include_dashboard": False}


class Nodes:
    """A head that paints nothing, and nodes of one core each."""

    def __init__(self, count: int) -> None:
        from ray.cluster_utils import Cluster

        self._cluster = Cluster(
            initialize_head=True, head_node_args={**_NODE, "num_cpus": 0, "_system_config": _SOON}
        )
        self.nodes = [self.add() for _ in range(count)]

    @property
    def address(self) -> str:
        return str(self._cluster.address)

    def add(self) -> Any:
        return self._cluster.add_node(**_NODE, num_cpus=1)

    def kill(self, number: int) -> None:
        """End a node and all its processes, without a word to anybody."""
        self._cluster.remove_node(self.nodes[number], allow_graceful=False)

    def close(self) -> None:
        self._cluster.shutdown()


@contextmanager
def cluster_of(count: int) -> Iterator[Nodes]:
    """Give a cluster whose processes find this checkout."""
    # Not below `tmp_path`: the names of Ray's sockets have to be short.
    folder = tempfile.mkdtemp(prefix="rt-", dir="/tmp")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("RAY_USAGE_STATS_ENABLED", "0")
        environment.setenv("RAY_AUTH_MODE", "disabled")
        environment.setenv("RAY_TMPDIR", folder)
        environment.setenv("PYTHONPATH", os.pathsep.join((str(ROOT / "src"), str(ROOT))))
        nodes = Nodes(count)
        try:
            yield nodes
        finally:
            nodes.close()
            shutil.rmtree(folder, ignore_errors=True)
