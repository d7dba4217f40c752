"""Rows in the order of their places, read ahead."""

import logging
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL
from tests.train.reads import Reads
from transformers import CLIPTokenizer

from retouch.train.feed import FeedSpec
from retouch.train.pictures import MaskedPicture, SceneReader
from retouch.train.posteriors import LatentBatch
from retouch.train.rows import Place, Share
from retouch.train.stream import PictureStream

CPU = torch.device("cpu")


class Asked:
    """Pictures that say their number, and who were asked for."""

    def __init__(self) -> None:
        self.numbers: list[int] = []

    def read(self, number: int) -> MaskedPicture:
        self.numbers.append(number)
        image = np.full((32, 32, 3), number * 20 % 256, np.uint8)
        mask = np.zeros((32, 32), np.bool_)
        mask[: 8 * (number % 5)] = True
        return MaskedPicture(image, mask, "a red apple", ("x.tar, sample 1: broken",) if number == 3 else ())


@pytest.fixture
def vae(vae_dir: Path) -> AutoencoderKL:
    return AutoencoderKL.from_pretrained(vae_dir)


@pytest.fixture
def tokenizer(tokenizer_dir: Path) -> Any:
    return CLIPTokenizer.from_pretrained(tokenizer_dir)


def stream(reader: Any, vae: AutoencoderKL, tokenizer: Any, **options: Any) -> PictureStream:
    chosen: dict[str, Any] = {"share": Share(4, 2), "hides": True, "workers": 0} | options
    feed = FeedSpec(reader, tokenizer, workers=chosen.pop("workers"))
    return PictureStream(feed, vae, size=32, device=CPU, **chosen)


def rows(source: PictureStream, step: int, micro: int, noise: float = 0.0) -> LatentBatch:
    places = [Place(0, 0, step, row) for row in (2 * micro, 2 * micro + 1)]
    return source.batch_at(places, torch.full((2, 2, 4, 8, 8), noise))


def test_row_of_a_step_shows_the_picture_of_its_number(vae: AutoencoderKL, tokenizer: Any) -> None:
    reader = Asked()
    source = stream(lambda: reader, vae, tokenizer)
    for step, micro in ((0, 0), (0, 1), (1, 0), (1, 1)):
        rows(source, step, micro)
    assert reader.numbers == list(range(8))


def test_a_resumed_stream_goes_on_with_the_same_rows(vae: AutoencoderKL, tokenizer: Any) -> None:
    first, second = Asked(), Asked()
    whole, resumed = (stream(lambda one=one: one, vae, tokenizer) for one in (first, second))
    expected = [rows(whole, step, micro) for step in range(3) for micro in range(2)]
    for place, batch in zip(((1, 1), (2, 0), (2, 1)), expected[3:], strict=True):
        found = rows(resumed, *place)
        assert torch.equal(found.latents, batch.latents)
        assert torch.equal(found.masked_image_latents, batch.masked_image_latents)
        assert torch.equal(found.mask, batch.mask)
    assert second.numbers == list(range(6, 12))


def test_a_phase_that_follows_another_finds_the_autoencoder_as_a_resumed_one_does(
    vae: AutoencoderKL, tokenizer: Any
) -> None:
    first, second = (rows(stream(Asked, vae, tokenizer), 0, 0) for _ in range(2))
    assert torch.equal(first.masked_image_latents, second.masked_image_latents)


def test_processes_read_disjoint_rows_and_together_all(vae: AutoencoderKL, tokenizer: Any) -> None:
    readers = [Asked(), Asked()]
    for rank, reader in enumerate(readers):
        source = stream(lambda reader=reader: reader, vae, tokenizer, share=Share(8, 2, rank, 2))
        for step in range(2):
            for micro in range(rank, 4, 2):
                rows(source, step, micro)
    assert sorted(readers[0].numbers + readers[1].numbers) == list(range(16))


def test_latents_are_those_of_picture_and_masked_picture(vae: AutoencoderKL, tokenizer: Any) -> None:
    batch = rows(stream(Asked, vae, tokenizer), 0, 1, noise=0.5)
    for row, number in enumerate((2, 3)):
        picture = Asked().read(number)
        image = torch.from_numpy(picture.image).permute(2, 0, 1)[None].float() / 127.5 - 1.0
        for pixels, found in (
            (image, batch.latents[row]),
            (image * ~torch.from_numpy(picture.mask), batch.masked_image_latents[row]),
        ):
            with torch.no_grad():
                posterior = vae.encode(pixels).latent_dist
            expected = (posterior.mean + 0.5 * posterior.std)[0] * vae.config.scaling_factor
            torch.testing.assert_close(found, expected, rtol=2e-3, atol=2e-3)


def test_text_to_image_encodes_no_masked_picture(vae: AutoencoderKL, tokenizer: Any) -> None:
    calls: list[int] = []
    vae.encoder.register_forward_hook(lambda _module, inputs, _output: calls.append(len(inputs[0])))
    source = stream(Asked, vae, tokenizer, hides=False)
    calls.clear()
    assert not rows(source, 0, 0).masked_image_latents.any()
    assert calls == [2]


def test_notes_count_what_was_passed_over_and_warnings_name_it(
    vae: AutoencoderKL, tokenizer: Any, caplog: pytest.LogCaptureFixture
) -> None:
    source = stream(Asked, vae, tokenizer)
    with caplog.at_level(logging.WARNING):
        rows(source, 0, 0)
        assert source.take_notes()["passed_over"] == 0
        rows(source, 0, 1)
    notes = source.take_notes()
    assert notes["passed_over"] == 1
    assert notes["data_wait_s"] > 0
    assert "x.tar, sample 1" in caplog.text
    assert source.take_notes() == {"data_wait_s": 0.0, "passed_over": 0.0}


def test_no_value_is_read_from_a_batch(vae: AutoencoderKL, tokenizer: Any) -> None:
    source = stream(Asked, vae, tokenizer)
    rows(source, 0, 0)
    with Reads() as reads:
        rows(source, 0, 1)
    assert reads.seen == 0


@pytest.mark.slow
def test_workers_read_what_the_training_process_would(data_dir: Path, vae: AutoencoderKL, tokenizer: Any) -> None:
    reader = partial(SceneReader, data_dir, size=32)
    alone, together = (stream(reader, vae, tokenizer, workers=workers) for workers in (0, 2))
    for step, micro in islice(((step, micro) for step in range(9) for micro in range(2)), 5):
        assert torch.equal(rows(alone, step, micro).latents, rows(together, step, micro).latents)
