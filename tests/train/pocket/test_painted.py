"""Scenes as a checkpoint paints them: kept pixels stay, light is painted, detail is the scene's."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.factories import make_checkpoint

from retouch.data.compose import SceneComposer
from retouch.data.mixture import MIXTURES
from retouch.models.components import Components
from retouch.train.config import ModelConfig
from retouch.train.origin import load_origin
from retouch.train.pocket.painted import GROUND, OBJECT, PaintedScenes, ScenePainter, paint_scenes, wanted

SIDE = 32


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Components:
    folder = make_checkpoint(tmp_path_factory.mktemp("base") / "tiny")
    found = load_origin(ModelConfig(pretrained=str(folder)))
    advice = replace(found.notes.recommended, num_inference_steps=4, guidance_scale=2.0)
    return replace(found, notes=replace(found.notes, recommended=advice))


@pytest.fixture(scope="module")
def composer(data_dir: Path) -> SceneComposer:
    return SceneComposer.open(data_dir, size=SIDE, mixture=MIXTURES["centred"])


def test_what_is_wanted_keeps_pixels_light_and_detail() -> None:
    torch.manual_seed(0)
    scene = torch.rand(1, 3, 64, 64) - 0.5
    decoded = torch.full_like(scene, 0.1) + 0.2
    holes, shown = torch.zeros(1, 1, 64, 64), torch.zeros(1, 1, 64, 64)
    holes[..., 8:56, 8:56] = 1.0
    shown[..., 20:44, 20:44] = 1.0
    target = wanted(decoded, scene, holes, shown)
    kept = (holes < 0.5).expand_as(target)
    assert torch.equal(target[kept], scene[kept])
    assert torch.equal(target[..., 9:11, 9:11], decoded[..., 9:11, 9:11])  # ground as it was painted
    inside = np.s_[..., 26:38, 26:38]
    assert abs(float(target[inside].mean() - decoded[inside].mean())) < 0.05
    # What is left of the scene is its detail, from pixel to pixel.
    assert torch.corrcoef(torch.stack([target[inside].flatten(), scene[inside].flatten()]))[0, 1] > 0.95


def test_a_later_start_keeps_more_of_the_scene(parts: Components, composer: SceneComposer) -> None:
    scenes = [composer.scene(np.random.default_rng(7))] * 2
    latents, targets = ScenePainter(parts).paint(scenes, [0.0, 0.75], seed=3)
    truth = torch.from_numpy(scenes[0].image).permute(2, 0, 1).float() / 127.5 - 1
    kept = torch.from_numpy(~scenes[0].mask).expand_as(truth)
    assert all(torch.equal(target[kept], truth[kept]) for target in targets)
    encoded = parts.vae.encode(truth[None]).latent_dist.mean * parts.vae.config.scaling_factor
    far, near = (latents - encoded).square().mean(dim=(1, 2, 3))
    assert near < far


def test_an_interrupted_folder_is_gone_on_with(parts: Components, composer: SceneComposer, tmp_path: Path) -> None:
    paint_scenes(parts, composer, tmp_path / "whole", count=20)
    paint_scenes(parts, composer, tmp_path / "cut", count=20)
    (tmp_path / "cut" / "painted.txt").write_text("16")
    for name in ("latents", "targets", "holes"):
        np.load(tmp_path / "cut" / f"{name}.npy", mmap_mode="r+")[16:] = 0
    paint_scenes(parts, composer, tmp_path / "cut", count=20)
    whole, cut = (PaintedScenes.open(tmp_path / name) for name in ("whole", "cut"))
    assert len(whole) == 20
    for name in ("latents", "targets", "holes"):
        assert np.array_equal(getattr(whole, name), getattr(cut, name))
    assert set(np.unique(whole.holes)) == {0, GROUND, OBJECT}
