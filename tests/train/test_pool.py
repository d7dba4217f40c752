"""Pools of pictures and of their latents."""

import subprocess
import sys
from collections.abc import Iterator
from itertools import count, islice
from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderKL

from retouch.train.feed import Chunk
from retouch.train.pool import Incoming, LatentPool, PicturePool
from retouch.train.posteriors import masked_image, to_unit_range

CPU = torch.device("cpu")


def chunks(size: int = 32, each: int = 4) -> Iterator[Chunk]:
    """Chunk n: pictures of random bytes, the left half masked, and tokens that all say n."""
    generator = torch.Generator().manual_seed(0)
    for number in count():
        masks = torch.zeros(each, size, size, dtype=torch.bool)
        masks[:, :, : size // 2] = True
        images = torch.randint(0, 256, (each, size, size, 3), generator=generator, dtype=torch.uint8)
        yield Chunk(images, masks, torch.full((each, 6), number))


@pytest.fixture
def incoming() -> Iterator[Incoming]:
    with Incoming(chunks(size=8)) as taken:
        yield taken


def test_crops_are_parts_of_the_pictures_in_the_pool(incoming: Incoming) -> None:
    pool = PicturePool(incoming, slots=4, device=CPU)
    pool.renew(wait=True)
    crops = pool.crops(torch.Generator().manual_seed(1), count=16, side=3)
    images = to_unit_range(next(chunks(size=8)).images)
    windows = images.unfold(2, 3, 1).unfold(3, 3, 1).permute(0, 2, 3, 1, 4, 5).reshape(-1, 3, 3, 3)
    assert crops.shape == (16, 3, 3, 3)
    for crop in crops:
        assert (windows == crop).flatten(1).all(1).any()


def test_oldest_pictures_give_way(incoming: Incoming) -> None:
    pool = PicturePool(incoming, slots=8, device=CPU)
    for _ in range(3):
        pool.renew(wait=True)
    assert len(pool) == 8
    assert pool.made == 12
    crops = pool.crops(torch.Generator().manual_seed(1), count=64, side=8)
    source = chunks(size=8)
    first, second, third = (to_unit_range(next(source).images) for _ in range(3))
    shown = [any(torch.equal(crop, image) for crop in crops) for image in (*first, *second, *third)]
    assert not any(shown[:4])
    assert all(shown[4:])


def test_batch_holds_the_posteriors_of_picture_and_masked_picture(vae_dir: Path) -> None:
    torch.manual_seed(0)
    vae = AutoencoderKL.from_pretrained(vae_dir).eval()
    pool = LatentPool(Incoming(islice(chunks(), 1)), vae, size=32, slots=4, ready=4, device=CPU)
    noise = torch.randn(4, 2, 4, pool.cells, pool.cells)
    batch = pool.batch((torch.arange(4) + 0.5) / 4, noise)
    chunk = next(chunks())
    images, masks = to_unit_range(chunk.images), chunk.masks[:, None].float()
    with torch.no_grad():
        whole = vae.encode(images).latent_dist
        hidden = vae.encode(masked_image(images, masks)).latent_dist
    # Half precision keeps three digits.
    torch.testing.assert_close(batch.latents, whole.mean + whole.std * noise[:, 0], rtol=5e-3, atol=5e-3)
    torch.testing.assert_close(
        batch.masked_image_latents, hidden.mean + hidden.std * noise[:, 1], rtol=5e-3, atol=5e-3
    )
    assert torch.equal(batch.mask, masks)
    assert torch.equal(batch.tokens, chunk.tokens)


def test_every_batch_takes_in_what_has_come(vae_dir: Path) -> None:
    vae = AutoencoderKL.from_pretrained(vae_dir).eval()
    with Incoming(chunks(), depth=1) as incoming:
        pool = LatentPool(incoming, vae, size=32, slots=8, ready=8, device=CPU)
        noise = torch.zeros(2, 2, 4, pool.cells, pool.cells)
        seen = [pool.batch(torch.tensor([0.1, 0.9]), noise).tokens[:, 0].tolist()]
        assert seen[0] in ([0, 1], [2, 1])
        while pool.made < 16:
            pool.batch(torch.tensor([0.1, 0.9]), noise)
        assert pool.batch(torch.tensor([0.1, 0.9]), noise).tokens.min() >= 2


def test_failure_of_the_readers_reaches_the_training_thread() -> None:
    def broken() -> Iterator[Chunk]:
        yield from ()
        raise OSError("disk gone")

    incoming = Incoming(broken())
    with pytest.raises(OSError, match="disk gone"):
        incoming.take(wait=True)


WORKS_ON = """
import torch
from retouch.train.feed import Chunk
from retouch.train.pool import Incoming

def chunks():
    while True:
        numbers = torch.zeros(1000)
        for _ in range(20_000):
            numbers = numbers + 1
        yield Chunk(numbers, numbers, numbers)

Incoming(chunks())
"""


def test_a_program_ends_while_readers_are_at_work() -> None:
    """It was aborted where the interpreter's end met an operation of theirs."""
    ended = subprocess.run(
        [sys.executable, "-c", WORKS_ON], capture_output=True, text=True, timeout=60, check=False
    )
    assert (ended.returncode, ended.stderr) == (0, "")
