"""Pictures encoded as they come, from scenes and from shards."""

import io
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL
from PIL import Image
from transformers import CLIPTokenizer

from retouch.data.compose import SceneComposer
from retouch.data.export import ExportOptions, export_shards
from retouch.errors import BadInput, ModelError
from retouch.train.pictures import EncodedPictures, SceneReader, ShardPictures, draw_mask, random_square


@pytest.fixture(scope="module")
def shards(data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shards")
    composer = SceneComposer.open(data_dir, size=48)
    export_shards(composer, folder, ExportOptions(count=12, per_shard=5))
    return folder


def test_same_number_gives_the_same_picture_mask_and_caption(shards: Path) -> None:
    one, two = (ShardPictures(shards, size=32, full_mask_rate=0.25) for _ in range(2))
    for pick in (0.0, 0.123, 0.9999):
        first, second = one.read(pick), two.read(pick)
        assert first.image.shape == (32, 32, 3)
        assert first.caption == second.caption != ""
        assert np.array_equal(first.image, second.image)
        assert np.array_equal(first.mask, second.mask)


def test_all_shards_are_read(shards: Path) -> None:
    reader = ShardPictures(shards, size=16, full_mask_rate=0.25)
    found = {reader.read(number / 97).image.tobytes() for number in range(97)}
    assert len(found) > 8


def test_broken_picture_gives_way_to_another(tmp_path: Path) -> None:
    good = io.BytesIO()
    Image.new("RGB", (20, 20), "red").save(good, "PNG")
    write_shard(
        tmp_path / "0.tar", {"a.png": b"nonsense", "a.txt": b"bad", "b.png": good.getvalue(), "b.txt": b"good"}
    )
    reader = ShardPictures(tmp_path, size=16, full_mask_rate=0.25)
    assert {reader.read(number / 20).caption for number in range(20)} == {"good"}


def test_shards_of_broken_pictures_alone_are_an_error(tmp_path: Path) -> None:
    write_shard(tmp_path / "0.tar", {"a.png": b"nonsense", "a.txt": b"bad"})
    with pytest.raises(ModelError, match="hardly any"):
        ShardPictures(tmp_path, size=16, full_mask_rate=0.25).read(0.5)


def test_folder_without_shards_is_bad_input(tmp_path: Path) -> None:
    with pytest.raises(BadInput):
        ShardPictures(tmp_path, size=16, full_mask_rate=0.25)


def test_full_masks_come_at_their_rate() -> None:
    rng = np.random.default_rng(0)
    full = sum(draw_mask(rng, 32, full_rate=0.25).all() for _ in range(2000))
    # Thick strokes may cover a small picture by themselves now and then.
    assert abs(full / 2000 - 0.25) < 4 * (0.25 * 0.75 / 2000) ** 0.5 + 0.03


def test_random_square_takes_the_whole_shorter_side() -> None:
    picture = Image.fromarray(np.tile(np.arange(60, dtype=np.uint8)[None, :, None], (30, 1, 3)))
    rows = np.asarray(random_square(picture, 30, np.random.default_rng(1)))[0, :, 0]
    assert np.array_equal(np.diff(rows.astype(int)), np.ones(29))


def test_encoded_batch_equals_the_encoding_of_the_pictures_that_were_read(
    data_dir: Path, vae_dir: Path, tokenizer_dir: Path
) -> None:
    reader = SceneReader(data_dir, size=32)
    vae = AutoencoderKL.from_pretrained(vae_dir).eval()
    tokenizer: Any = CLIPTokenizer.from_pretrained(tokenizer_dir)
    source = EncodedPictures(reader, vae, tokenizer, size=32)
    pick = torch.tensor([0.2, 0.7], dtype=torch.float64)
    batch = source.batch(pick, torch.zeros(2, 2, 4, 8, 8))
    assert source.cells == 8
    for row in range(2):
        image = torch.from_numpy(reader.read(float(pick[row])).image).permute(2, 0, 1)[None].float() / 127.5 - 1.0
        expected = vae.encode(image).latent_dist.mean[0] * vae.config.scaling_factor
        torch.testing.assert_close(batch.latents[row], expected.detach(), rtol=1e-4, atol=1e-5)


def write_shard(path: Path, files: dict[str, bytes]) -> None:
    with tarfile.open(path, "w") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
