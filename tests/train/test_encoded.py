"""Pictures encoded once."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.factories import tiny_vae
from tests.train.photographs import write_photographs

from retouch.data.folder import FolderItem
from retouch.train.crops import shapes
from retouch.train.encoded import Encoded, PhotographEncoder, rows_of, unpack_bits
from retouch.train.photographs import CutSpec, Photograph, cut_photograph, read_photograph

SPEC = CutSpec(tuple(shapes(32, 8)), crops=2, masks=3)


@pytest.fixture
def picture(tmp_path: Path) -> Photograph:
    folder = write_photographs(tmp_path / "photographs", 2)
    return read_photograph(FolderItem(folder / "01.jpg", "a hat"))


def vae() -> Any:
    torch.manual_seed(0)
    return tiny_vae().eval()


class Counting:
    """A VAE that counts its calls."""

    def __init__(self, inner: Any) -> None:
        self.inner, self.calls = inner, 0
        self.config, self.device, self.state_dict = inner.config, inner.device, inner.state_dict

    def encode(self, images: torch.Tensor) -> Any:
        self.calls += 1
        return self.inner.encode(images)


def same(one: Encoded, two: Encoded) -> bool:
    pairs = ((one.images, two.images), (one.masked, two.masked), (one.masks, two.masks))
    return all(torch.equal(mine, other) for mine, other in pairs)


def test_latents_are_those_of_crop_and_masked_crop(picture: Photograph) -> None:
    encoded = PhotographEncoder(vae(), SPEC, None).encode(picture)
    cuts = cut_photograph(picture, SPEC)
    pixels = torch.from_numpy(cuts.images[1]).permute(2, 0, 1)[None].float() / 127.5 - 1.0
    hidden = pixels * ~torch.from_numpy(cuts.masks[1, 2])
    for found, image in ((encoded.images[1], pixels), (encoded.masked[1, 2], hidden)):
        wanted = vae().encode(image).latent_dist.mean[0] * vae().config.scaling_factor
        torch.testing.assert_close(found[0].float(), wanted.detach(), rtol=2e-3, atol=2e-3)
    shape = cuts.masks.shape[2:]
    masks = unpack_bits(encoded.masks.flatten(0, 1), (shape[0], shape[1]))
    assert np.array_equal(masks[:, 0].numpy() == 1, cuts.masks.reshape(6, *shape))


def test_a_picture_that_was_encoded_before_is_read_from_the_cache(picture: Photograph, tmp_path: Path) -> None:
    counting = Counting(vae())
    first = PhotographEncoder(counting, SPEC, tmp_path / "cache").encode(picture)
    calls = counting.calls
    second = PhotographEncoder(counting, SPEC, tmp_path / "cache").encode(picture)
    assert counting.calls == calls > 0
    assert same(first, second)


def test_other_content_settings_or_weights_are_encoded_anew(picture: Photograph, tmp_path: Path) -> None:
    other_vae = vae()
    other_vae.encoder.conv_in.weight.data.mul_(2.0)
    masked = Photograph("x", picture.picture, b"other", "")
    assert masked.digest != picture.digest
    cache = tmp_path / "cache"
    PhotographEncoder(vae(), SPEC, cache).encode(picture)
    PhotographEncoder(other_vae, SPEC, cache).encode(picture)
    PhotographEncoder(vae(), CutSpec(SPEC.shapes, 3, 3), cache).encode(picture)
    PhotographEncoder(vae(), CutSpec(((32, 32),), 2, 3), cache).encode(picture)
    assert len(list(cache.iterdir())) == 4
    # A caption is no part of what is encoded.
    PhotographEncoder(vae(), SPEC, cache).encode(Photograph("y", picture.picture, None, "another caption"))
    assert len(list(cache.iterdir())) == 4


def test_what_another_kind_of_device_encoded_is_encoded_anew(picture: Photograph, tmp_path: Path) -> None:
    PhotographEncoder(vae(), SPEC, tmp_path / "cache").encode(picture)
    elsewhere = Counting(vae())
    elsewhere.device = torch.device("meta")
    with pytest.raises(RuntimeError, match="meta"):  # it computes nothing, so that only a cached answer could come
        PhotographEncoder(elsewhere, SPEC, tmp_path / "cache").encode(picture)


def test_a_cache_file_that_was_cut_short_is_made_again(picture: Photograph, tmp_path: Path) -> None:
    encoder = PhotographEncoder(vae(), SPEC, tmp_path / "cache")
    first = encoder.encode(picture)
    (file,) = (tmp_path / "cache").iterdir()
    file.write_bytes(file.read_bytes()[:100])
    assert same(encoder.encode(picture), first)
    assert same(encoder.encode(picture), first)


def test_every_picture_has_as_many_rows_however_many_masks_it_has() -> None:
    own, drawn = (
        Encoded(torch.zeros(2), torch.zeros(2), torch.zeros(2, each, 4, dtype=torch.uint8)) for each in (1, 3)
    )
    assert list(rows_of(own, 3)) == [(0, 0), (0, 0), (0, 0), (1, 1), (1, 1), (1, 1)]
    assert list(rows_of(drawn, 3)) == [(0, 0), (0, 1), (0, 2), (1, 3), (1, 4), (1, 5)]
