"""A run on one machine's CPU in several processes of one thread each.

With few rows a step that is faster than one process of as many threads, and stays so on a busy machine: they wait
for each other once a step, and not at every operation. Which rows a step sees does not depend on their number.
"""

import logging
import os
import signal
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from multiprocessing.queues import SimpleQueue
from types import FrameType

import torch
from torch.multiprocessing import get_context
from torch.multiprocessing.spawn import ProcessException, spawn

from retouch.errors import InvalidField, ModelError, RetouchError
from retouch.models.devices import SMALL_UNET_PARAMETERS, pick_device, use_threads
from retouch.train.config import TrainConfig
from retouch.train.origin import load_origin
from retouch.train.rows import Share
from retouch.train.run import RunOptions, run_training

Told = SimpleQueue[RetouchError]


def best_count(options: RunOptions) -> int:
    """How many processes train fastest: on a CPU one for each thread, as far as they can share the rows.

    One for a large model, which keeps several threads busy and which each process would hold a copy of; one, too,
    where another launcher has started this process.

    Raises:
        ModelError, InvalidField: as `run_training`, of what the model is made from.
    """
    threads = torch.get_num_threads()
    is_on_cpu = options.cpu or pick_device(None).type == "cpu"
    if threads == 1 or not is_on_cpu or "WORLD_SIZE" in os.environ:
        return 1
    unet = load_origin(options.config.model).unet
    if sum(parameter.numel() for parameter in unet.parameters()) >= SMALL_UNET_PARAMETERS:
        return 1
    return next(count for count in range(threads, 0, -1) if count == 1 or _can_share(options.config, count))


def _can_share(config: TrainConfig, count: int) -> bool:
    try:
        for phase in config.phases:
            Share.of(phase.global_batch, phase.micro_batch, rank=0, world=count)
    except InvalidField:
        return False
    return True


def run_in_processes(options: RunOptions, count: int) -> None:
    """`run_training` in so many processes. All end with the first that fails; a signal stops all after one step.

    Args:
        options: whose `reports` can be pickled.

    Raises:
        RetouchError: what one of them has raised; ModelError where one ended without a word.
        KeyboardInterrupt: a second signal came.
    """
    is_quiet = isinstance(logging.lastResort, logging.NullHandler)
    meeting = {"WORLD_SIZE": str(count), "LOCAL_WORLD_SIZE": str(count), **_free_address()}
    told: Told = get_context("spawn").SimpleQueue()
    group = spawn(_take_part, args=(meeting, options, told, is_quiet), nprocs=count, join=False)  # type: ignore[no-untyped-call]  # torch has no types for it
    assert group is not None  # it is one where nothing is joined
    with _handing_on_signals(group.processes) as heard:
        try:
            while not group.join():
                pass
        except ProcessException as error:
            if not told.empty():
                raise told.get() from None
            raise ModelError(f"one of {count} training processes ended", hint=str(error)) from error
    if len(heard) > 1:
        raise KeyboardInterrupt


def _take_part(rank: int, meeting: dict[str, str], options: RunOptions, told: Told, is_quiet: bool) -> None:
    """What each process does: it finds the others as one that a launcher has started."""
    os.environ.update(meeting, RANK=str(rank), LOCAL_RANK=str(rank))
    use_threads(1)
    if is_quiet:
        logging.lastResort = logging.NullHandler()
    try:
        run_training(options)
    except RetouchError as error:
        told.put(error)
        raise SystemExit(1) from error


def _free_address() -> dict[str, str]:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(found.getsockname()[1])}


@contextmanager
def _handing_on_signals(processes: Sequence[BaseProcess]) -> Iterator[list[int]]:
    """Let the first process hear what this one is told, and agree with the others; gives the signals heard so far.

    A terminal's Ctrl-C reaches all of them by itself.
    """
    heard: list[int] = []

    def hear(number: int, _frame: FrameType | None) -> None:
        heard.append(number)
        first = processes[0].pid
        if number == signal.SIGTERM and first is not None and processes[0].is_alive():
            os.kill(first, number)

    before = {number: signal.signal(number, hear) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield heard
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
