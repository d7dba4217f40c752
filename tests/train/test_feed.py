"""Readers that work ahead."""

from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import CLIPTokenizer

from retouch.train.feed import FeedSpec, read_ahead
from retouch.train.pictures import SceneReader
from retouch.train.text import encode_captions


def spec(data_dir: Path, tokenizer: Any, workers: int) -> FeedSpec:
    return FeedSpec(partial(SceneReader, data_dir, size=32), tokenizer, workers=workers, chunk=3, seed=5)


def test_chunks_hold_what_the_reader_gives_for_their_numbers(data_dir: Path, tokenizer_dir: Path) -> None:
    tokenizer = CLIPTokenizer.from_pretrained(tokenizer_dir)
    chunks = list(islice(read_ahead(spec(data_dir, tokenizer, workers=0)), 2))
    reader = SceneReader(data_dir, size=32)
    for number, chunk in enumerate(chunks):
        for row, pick in enumerate(np.random.default_rng((5, number)).random(3)):
            picture = reader.read(float(pick))
            assert np.array_equal(chunk.images[row].numpy(), picture.image)
            assert np.array_equal(chunk.masks[row].numpy(), picture.mask)
            assert torch.equal(chunk.tokens[row], encode_captions(tokenizer, [picture.caption])[0])


@pytest.mark.slow
def test_any_number_of_workers_reads_the_same_chunks_in_the_same_order(data_dir: Path) -> None:
    alone = list(islice(read_ahead(spec(data_dir, None, workers=0)), 5))
    together = list(islice(read_ahead(spec(data_dir, None, workers=2)), 5))
    for one, other in zip(alone, together, strict=True):
        assert torch.equal(one.images, other.images)
        assert torch.equal(one.masks, other.masks)


def test_reader_that_cannot_open_its_data_says_so(tmp_path: Path) -> None:
    with pytest.raises(Exception, match="holds no training data"):
        next(read_ahead(spec(tmp_path / "nowhere", None, workers=0)))
