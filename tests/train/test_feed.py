"""Readers that work ahead."""

import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import CLIPTokenizer

from retouch.train.feed import Chunk, FeedSpec, each_its_own, read_ahead
from retouch.train.pictures import SceneReader
from retouch.train.text import encode_captions


def chunks(data_dir: Path, tokenizer: Any, workers: int) -> Iterator[Chunk]:
    spec = FeedSpec(partial(SceneReader, data_dir, size=32, seed=(5,)), tokenizer, workers=workers)
    return read_ahead(spec, each_its_own(chunk=3))


def test_chunks_hold_what_the_reader_gives_for_their_numbers(data_dir: Path, tokenizer_dir: Path) -> None:
    tokenizer = CLIPTokenizer.from_pretrained(tokenizer_dir)
    reader = SceneReader(data_dir, size=32, seed=(5,))
    for number, chunk in enumerate(islice(chunks(data_dir, tokenizer, workers=0), 2)):
        for row in range(3):
            picture = reader.read(3 * number + row)
            assert np.array_equal(chunk.images[row].numpy(), picture.image)
            assert np.array_equal(chunk.masks[row].numpy(), picture.mask)
            assert torch.equal(chunk.tokens[row], encode_captions(tokenizer, [picture.caption])[0])


@pytest.mark.slow
def test_any_number_of_workers_reads_the_same_chunks_in_the_same_order(data_dir: Path) -> None:
    alone = list(islice(chunks(data_dir, None, workers=0), 5))
    together = list(islice(chunks(data_dir, None, workers=2), 5))
    for one, other in zip(alone, together, strict=True):
        assert torch.equal(one.images, other.images)
        assert torch.equal(one.masks, other.masks)


def test_reader_that_cannot_open_its_data_says_so(tmp_path: Path) -> None:
    with pytest.raises(Exception, match="holds no training data"):
        next(chunks(tmp_path / "nowhere", None, workers=0))


def test_processes_have_other_numbers_and_together_all() -> None:
    shares = [list(islice(each_its_own(chunk=4, rank=rank, world=3), 5)) for rank in range(3)]
    assert sorted(number for share in shares for numbers in share for number in numbers) == list(range(60))


@pytest.mark.slow
def test_a_signal_to_the_training_process_group_leaves_the_workers_at_work(data_dir: Path) -> None:
    code = """
import os, signal, sys
from functools import partial
from pathlib import Path
from retouch.train.feed import FeedSpec, each_its_own, read_ahead
from retouch.train.pictures import SceneReader

if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: None)
    feed = FeedSpec(partial(SceneReader, Path(sys.argv[1]), size=32), None, workers=1)
    chunks = read_ahead(feed, each_its_own(chunk=2))
    next(chunks)
    os.killpg(0, signal.SIGTERM)
    for _ in range(20):
        next(chunks)
    print("all there", flush=True)
"""
    script = data_dir.parent / "script.py"
    script.write_text(code)
    command = [sys.executable, script, data_dir]
    done = subprocess.run(command, capture_output=True, text=True, start_new_session=True, check=False)
    assert "all there" in done.stdout, done.stderr[-2000:]
