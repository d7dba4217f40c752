"""The latent cache, against encoding scene by scene."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL
from tests.factories import tiny_tokenizer
from transformers import CLIPTokenizer

from retouch.data.compose import SceneComposer
from retouch.data.export import ExportOptions, export_shards
from retouch.data.mixture import MIXTURES
from retouch.errors import InvalidField, ModelError, ModelUnsafe
from retouch.train.cache_facts import LatentSpec
from retouch.train.latents import LatentCache, build_latents, open_maps
from retouch.train.pocket.vae import build_vae
from retouch.train.posteriors import posteriors_of, to_unit_range
from retouch.train.sketches import to_regions
from retouch.train.text import encode_captions


@pytest.fixture
def spec(data_dir: Path, vae_dir: Path, tokenizer_dir: Path, tmp_path: Path) -> LatentSpec:
    return LatentSpec(data_dir, vae_dir, tokenizer_dir, tmp_path / "cache", slots=32, size=32)


@pytest.fixture
def tokenizer(tokenizer_dir: Path) -> Any:
    return CLIPTokenizer.from_pretrained(tokenizer_dir)


def every(cache: LatentCache, count: int) -> Any:
    """All examples in order, without posterior noise."""
    pick = (torch.arange(count).double() + 0.5) / count
    return cache.batch(pick, torch.zeros(count, 2, 4, cache.cells, cache.cells))


def test_a_pickled_vae_is_read_where_that_is_allowed(spec: LatentSpec, tokenizer: Any, tmp_path: Path) -> None:
    folder = tmp_path / "pickled"
    AutoencoderKL.from_pretrained(spec.vae_dir).save_pretrained(folder, safe_serialization=False)
    with pytest.raises(ModelUnsafe, match="pickle"):
        build_latents(replace(spec, vae_dir=folder), tokenizer)
    build_latents(spec, tokenizer)
    pickled = replace(spec, vae_dir=folder, folder=tmp_path / "other", allow_pickle=True)
    build_latents(pickled, tokenizer)
    ours, others = (every(LatentCache(one.folder), 32) for one in (spec, pickled))
    assert torch.equal(ours.latents, others.latents)


def test_cache_holds_what_encoding_each_scene_alone_gives(
    spec: LatentSpec, tokenizer: Any, data_dir: Path
) -> None:
    build_latents(spec, tokenizer)
    found = every(LatentCache(spec.folder), 32)
    vae = AutoencoderKL.from_pretrained(spec.vae_dir).eval()
    composer = SceneComposer.open(data_dir, size=32, split="train")
    for number in range(32):
        scene = composer.scene(np.random.default_rng((0, number)))
        image = torch.from_numpy(scene.image).permute(2, 0, 1)[None].float() / 127.5 - 1.0
        mask = torch.from_numpy(scene.mask)[None, None].float()
        with torch.no_grad():
            expected = vae.encode(image).latent_dist.mean[0] * vae.config.scaling_factor
            hidden = vae.encode(image * (1 - mask)).latent_dist.mean[0] * vae.config.scaling_factor
        torch.testing.assert_close(found.latents[number], expected, rtol=2e-3, atol=2e-3)
        torch.testing.assert_close(found.masked_image_latents[number], hidden, rtol=2e-3, atol=2e-3)
        assert torch.equal(found.mask[number], mask[0])
        assert torch.equal(found.tokens[number], encode_captions(tokenizer, [scene.caption])[0])


def test_cache_holds_the_sketches_of_what_captions_do_not_say(
    spec: LatentSpec, tokenizer: Any, data_dir: Path
) -> None:
    build_latents(replace(spec, mixture="several"), tokenizer)
    found = every(LatentCache(spec.folder), 32).sketches
    vae = AutoencoderKL.from_pretrained(spec.vae_dir).eval()
    composer = SceneComposer.open(data_dir, size=32, split="train", mixture=MIXTURES["several"])
    portraits = [composer.scene(np.random.default_rng((0, number))).portrait for number in range(32)]
    assert 8 < sum(portrait is None for portrait in portraits) < 24
    for sketch, portrait in zip(found, portraits, strict=True):
        if portrait is None:
            assert sketch.isnan().all()
            continue
        with torch.no_grad():
            latents = posteriors_of(vae, to_unit_range(torch.from_numpy(portrait)[None]))[:, 0]
        torch.testing.assert_close(sketch, to_regions(latents)[0], rtol=2e-3, atol=2e-3)


def test_a_cache_without_sketches_is_not_gone_on_with_where_scenes_bring_them(
    spec: LatentSpec, tokenizer: Any
) -> None:
    several = replace(spec, mixture="several")
    build_latents(several, tokenizer)
    (spec.folder / "sketches.npy").unlink()
    with pytest.raises(InvalidField, match="sketches"):
        build_latents(several, tokenizer)


def test_cache_of_other_scenes_holds_none(spec: LatentSpec, tokenizer: Any) -> None:
    build_latents(spec, tokenizer)
    assert every(LatentCache(spec.folder), 32).sketches is None


def test_cache_of_shards_holds_their_samples_with_masks_and_captions(
    spec: LatentSpec, tokenizer: Any, data_dir: Path, tmp_path: Path
) -> None:
    export_shards(SceneComposer.open(data_dir, size=48), tmp_path / "shards", ExportOptions(count=10, per_shard=4))
    shards = replace(spec, data_dir=tmp_path / "shards", kind="shards")
    build_latents(shards, tokenizer)
    found = every(LatentCache(spec.folder), 32)
    reader = shards.reader()()
    for number in (0, 9, 10, 31):
        picture = reader.read(number)
        assert torch.equal(found.mask[number, 0], torch.from_numpy(picture.mask).float())
        assert torch.equal(found.tokens[number], encode_captions(tokenizer, [picture.caption])[0])


def test_cache_holds_every_token_of_a_tokenizer_of_any_length(spec: LatentSpec, tmp_path: Path) -> None:
    clip = tiny_tokenizer(tmp_path / "clip", max_tokens=77)
    build_latents(spec, clip)
    assert every(LatentCache(spec.folder), 32).tokens.shape == (32, 77)
    open_maps(spec.folder, mode="r+")["tokens"][3] = 49_407  # the last of CLIP's vocabulary
    assert every(LatentCache(spec.folder), 32).tokens[3].tolist() == [49_407] * 77


def test_partly_filled_cache_is_gone_on_with(spec: LatentSpec, tokenizer: Any) -> None:
    asked = iter([True, False])
    build_latents(spec, tokenizer, keep_on=lambda: next(asked))
    assert len(LatentCache(spec.folder)) == 16
    before = every(LatentCache(spec.folder), 16).latents
    build_latents(spec, tokenizer)
    assert len(LatentCache(spec.folder)) == 32
    assert torch.equal(every(LatentCache(spec.folder), 32).latents[:16], before)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"vae_dir": "other"}, "vae_sha256"),
        ({"data_dir": "shards", "kind": "shards"}, "kind"),
        ({"seed": 5}, "seed"),
        ({"size": 64}, "size"),
        ({"slots": 64}, "slots"),
        ({"mixture": "plain"}, "mixture"),
        ({"split": "validation"}, "split"),
        ({"words": frozenset({"ball"})}, "words"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_cache_that_was_made_from_something_else_is_not_gone_on_with(
    spec: LatentSpec, tokenizer: Any, data_dir: Path, tmp_path: Path, changes: dict[str, Any], named: str
) -> None:
    build_latents(spec, tokenizer, keep_on=lambda: False)
    torch.manual_seed(1)
    build_vae((16, 16, 16)).save_pretrained(tmp_path / "other")
    export_shards(SceneComposer.open(data_dir, size=48), tmp_path / "shards", ExportOptions(count=2, per_shard=2))
    folders = {name: tmp_path / changes[name] for name in ("vae_dir", "data_dir") if name in changes}
    with pytest.raises(InvalidField, match=rf"^{named}: "):
        build_latents(replace(spec, **changes | folders), tokenizer)


@pytest.mark.parametrize("said", [None, '{"size": 32, "vae": "a/folder"}'])
def test_cache_that_says_little_of_itself_is_gone_on_with_as_far_as_it_fits(
    spec: LatentSpec, tokenizer: Any, said: str | None
) -> None:
    asked = iter([True, False])
    build_latents(spec, tokenizer, keep_on=lambda: next(asked))
    (spec.folder / "cache.json").unlink()
    if said is not None:
        (spec.folder / "cache.json").write_text(said)
    assert LatentCache(spec.folder).size == 32
    for other in (replace(spec, size=64), replace(spec, slots=64)):
        with pytest.raises(InvalidField):
            build_latents(other, tokenizer)
    build_latents(spec, tokenizer)
    assert len(LatentCache(spec.folder)) == 32
    with pytest.raises(InvalidField, match="seed"):
        build_latents(replace(spec, seed=5), tokenizer)


def test_cache_that_was_killed_before_its_arrays_is_begun_anew(spec: LatentSpec, tokenizer: Any) -> None:
    build_latents(spec, tokenizer, keep_on=lambda: False)
    (spec.folder / "filled.npy").unlink()
    with pytest.raises(ModelError, match="no latent cache"):
        LatentCache(spec.folder)
    build_latents(replace(spec, seed=5), tokenizer)
    assert len(LatentCache(spec.folder)) == 32


def test_full_cache_replaces_its_oldest_scenes_when_renewed(spec: LatentSpec, tokenizer: Any) -> None:
    build_latents(spec, tokenizer)
    before = every(LatentCache(spec.folder), 32).latents
    asked = iter([True, False])
    build_latents(spec, tokenizer, renew_duty=1.0, keep_on=lambda: next(asked))
    after = every(LatentCache(spec.folder), 32).latents
    assert not torch.equal(after[:16], before[:16])
    assert torch.equal(after[16:], before[16:])


def test_latents_are_drawn_around_the_mean_with_the_deviation_of_the_posterior(cache_dir: Path) -> None:
    cache = LatentCache(cache_dir)
    pick = torch.tensor([0.3], dtype=torch.float64)
    noise = torch.randn(1, 2, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    mean = cache.batch(pick, torch.zeros_like(noise)).latents
    drawn = cache.batch(pick, noise).latents
    torch.testing.assert_close(drawn - mean, noise[:, 0] * 0.1, rtol=1e-2, atol=1e-3)


def test_one_scene_in_four_is_masked_everywhere(data_dir: Path) -> None:
    composer = SceneComposer.open(data_dir, size=32, split="train")
    full = sum(composer.scene(np.random.default_rng((3, number))).mask.all() for number in range(600))
    # Four standard errors of a share of 0.25; a large object's mask may fill the picture now and then.
    assert abs(full / 600 - 0.25) < 4 * (0.25 * 0.75 / 600) ** 0.5 + 0.02


def test_folder_without_a_cache_is_a_model_error(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no latent cache"):
        LatentCache(tmp_path)
