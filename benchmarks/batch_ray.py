"""Rows a second of `retouch batch run --ray` on two nodes of one core each, against one.

    python -m benchmarks.batch_ray [--rows 200] [--steps 20]

Both are clusters of `ray.cluster_utils` on this machine, one after the other, with the same table. A node has
one actor, which has one thread. Rows and seconds are counted from when the first calls' are kept to the last:
the cluster that starts and the models that load are left out. Where fewer than two cores are idle, the ratio
says little.
"""

import argparse
import hashlib
import json
import os
import tempfile
from itertools import pairwise
from pathlib import Path

from benchmarks.batch import write_table
from tests.batch.remote.nodes import cluster_of

from retouch.batch.job import Batch, run_batch
from retouch.batch.painter import Recipe
from retouch.batch.pictures import Roots
from retouch.batch.places import Place
from retouch.batch.readers.source import open_source
from retouch.batch.runner import Progress
from retouch.cli.batch_models import Model, Models
from retouch.cli.loading import Checkpoint
from retouch.cli.safeguards import Safeguards
from retouch.request import DEFAULT_LIMITS

PAUSE_S = 1.0
"""Between the rows of one call and those of the next at least."""


def run(table: Path, output: Path, nodes: int, fields: dict[str, object]) -> dict[str, object]:
    """Run the table on so many nodes; return rows a second, and a hash over all pictures."""
    source = open_source(str(table))
    batch = Batch(source, output, Recipe(fields=fields), Roots((Place.of(source.folder),)))
    seen: list[Progress] = []
    with cluster_of(nodes) as cluster:
        models = Models(Model(Checkpoint(threads=1), Safeguards(), DEFAULT_LIMITS), cluster.address)
        outcome = run_batch(batch, lambda: models.engaged(batch), on_progress=seen.append)
    assert outcome.is_all_done, outcome.counts
    first, last = end_of_first(seen), seen[-1]
    pictures = sorted((output / "pictures").rglob("*.png"))
    return {
        "rows_per_s": (last.made - first.made) / (last.seconds - first.seconds),
        "pictures_sha256": hashlib.sha256(b"".join(path.read_bytes() for path in pictures)).hexdigest(),
    }


def end_of_first(seen: list[Progress]) -> Progress:
    """Return when the first rows were kept: those of a call come together, and their work was done before."""
    return next(one for one, after in pairwise(seen) if after.seconds - one.seconds > PAUSE_S)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=200)
    parser.add_argument("--side", type=int, default=256, help="of the pictures, in pixels")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--guidance", type=float, default=5.0)
    args = parser.parse_args()
    fields = {"num_inference_steps": args.steps, "guidance_scale": args.guidance}
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "rows.csv"
        write_table(table, args.rows, args.side)
        one, two = (run(table, Path(folder) / str(nodes), nodes, fields) for nodes in (1, 2))
    report: dict[str, object] = {"setting": vars(args) | {"cpus": os.cpu_count()}, "one": one, "two": two}
    report["ratio"] = float(str(two["rows_per_s"])) / float(str(one["rows_per_s"]))
    report["equal"] = one["pictures_sha256"] == two["pictures_sha256"]
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
