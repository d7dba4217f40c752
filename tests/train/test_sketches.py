"""Sketches that are written into what a text encoder says."""

import pytest
import torch
from torch import Tensor

from retouch.train.sketches import SketchHead, SketchWriter
from retouch.train.text import SKETCH_SIDE, WORD_TOKENS

WIDTH, VALUES = 40, 16
TOKENS = SKETCH_SIDE**2


@pytest.fixture
def head() -> SketchHead:
    torch.manual_seed(0)
    return SketchHead(WIDTH, VALUES)


@pytest.fixture
def embeds() -> Tensor:
    return torch.randn(3, WORD_TOKENS + TOKENS, WIDTH, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def sketches() -> Tensor:
    given = torch.randn(3, TOKENS, VALUES, generator=torch.Generator().manual_seed(2))
    given[1] = torch.nan
    return given


@torch.no_grad()
def test_what_is_written_is_read_again(head: SketchHead, embeds: Tensor, sketches: Tensor) -> None:
    written = SketchWriter(head)(embeds, sketches)
    read = head.latents(written[:, WORD_TOKENS:])
    torch.testing.assert_close(read[[0, 2]], sketches[[0, 2]], rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_places_words_and_rows_without_a_sketch_stay(head: SketchHead, embeds: Tensor, sketches: Tensor) -> None:
    written = SketchWriter(head)(embeds, sketches)
    places = [head.position(some[:, WORD_TOKENS:]) for some in (written, embeds)]
    torch.testing.assert_close(*places, rtol=1e-4, atol=1e-4)
    assert torch.equal(written[:, :WORD_TOKENS], embeds[:, :WORD_TOKENS])
    assert torch.equal(written[1], embeds[1])


@torch.no_grad()
def test_no_smaller_change_would_do(head: SketchHead, embeds: Tensor, sketches: Tensor) -> None:
    change = (SketchWriter(head)(embeds, sketches) - embeds)[0, WORD_TOKENS:]
    unread = torch.linalg.svd(torch.cat([head.latents.weight, head.position.weight])).Vh[VALUES + 8 :]
    assert float((change @ unread.T).abs().max()) < 1e-4 * float(change.abs().max())
