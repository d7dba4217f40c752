"""Simulates fleets of servers, with the service's own admission and scheduler.

    python -m benchmarks.fleet --table requests|batch|breaks|limits|rows [--gpu H100] [--price 2.0 5.0]
    python -m benchmarks.fleet --check [--clients 8]
    python -m benchmarks.fleet --measure FILE

`--table` prints the tables of docs/scale.md, from published times of GPUs. `--check` measures this machine, tells
what one and two servers of a core each will do under so many clients, and then what they did; it says little where
fewer than two cores are idle. `--measure` writes what the tables need of this machine.
"""

import argparse
import json
import sys
from pathlib import Path

from benchmarks.fleet import tables
from benchmarks.fleet.times import gpus


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--table", choices=sorted(tables.TABLES))
    what.add_argument("--check", action="store_true", help="compare with real servers of one core each")
    what.add_argument("--measure", type=Path, metavar="FILE")
    what.add_argument("--calls", type=int, metavar="SIDE", help=argparse.SUPPRESS)
    parser.add_argument("--gpu", choices=sorted(gpus()), help="of one device alone")
    parser.add_argument("--rates", type=float, nargs="+", default=[1, 100, 10_000], help="of requests a second")
    parser.add_argument("--price", type=float, nargs="+", default=[], help="of a GPU for an hour, in any currency")
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--pictures", type=int, default=64)
    args = parser.parse_args()
    if args.table:
        for line in tables.TABLES[args.table](args):
            print(line, flush=True)
        return
    from benchmarks.fleet import check, measure

    if args.calls:
        json.dump(measure.calls(args.calls), sys.stdout)
    elif args.measure:
        args.measure.write_text(json.dumps(measure.measure(), indent=1) + "\n", encoding="utf-8")
    else:
        for line in check.compared(args.clients, args.pictures):
            print(line, flush=True)


if __name__ == "__main__":
    main()
