"""The decoder's training: it mends what was painted, leaves the encoder alone, and can be gone on with."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderKL
from tests.factories import make_checkpoint

from retouch.errors import InvalidField
from retouch.models.vae import load_vae
from retouch.train.pocket import decoder
from retouch.train.pocket.decoder import DecoderRecipe, train_decoder
from retouch.train.pocket.vae import build_vae


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_checkpoint(tmp_path_factory.mktemp("base") / "tiny")
    torch.manual_seed(0)
    build_vae((8, 8, 8, 8), size=64).save_pretrained(folder / "vae")
    return folder


@pytest.fixture
def recipe(model: Path, data_dir: Path, tmp_path: Path) -> DecoderRecipe:
    return DecoderRecipe(
        model_dir=model,
        data_dir=data_dir,
        run_dir=tmp_path / "run",
        widths=(8, 16, 32, 32),
        painted=6,
        steps=4,
        batch=4,
        crop=32,
        save_every=2,
        log_every=2,
    )


def test_the_decoder_learns_and_the_encoder_stays(
    recipe: DecoderRecipe, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    losses: list[float] = []
    plain = decoder.decoder_loss

    def noted(*arguments: object) -> dict[str, torch.Tensor]:
        terms = plain(*arguments)  # type: ignore[arg-type]
        losses.append(terms["loss"].item())
        return terms

    monkeypatch.setattr(decoder, "decoder_loss", noted)
    vae = load_vae(train_decoder(replace(recipe, steps=30, encoded_share=0.0, whole_from=1.0)))
    assert sum(losses[-8:]) < 0.9 * sum(losses[:8])
    old = AutoencoderKL.from_pretrained(model / "vae").state_dict()
    for name, weight in vae.state_dict().items():
        if name in old and name.startswith(("encoder.", "quant_conv.")):
            assert torch.equal(weight, old[name].half().float()), name


def test_a_run_is_gone_on_with_exactly(recipe: DecoderRecipe, tmp_path: Path) -> None:
    whole = load_vae(train_decoder(recipe)).state_dict()
    other = replace(recipe, run_dir=tmp_path / "other")
    monkey = decoder.DecoderTrainer.train_step
    steps = 0

    class Cut(Exception):
        pass

    def cut(self: decoder.DecoderTrainer, *arguments: object) -> dict[str, torch.Tensor]:
        nonlocal steps
        steps += 1
        if steps == 4:
            raise Cut
        return monkey(self, *arguments)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decoder.DecoderTrainer, "train_step", cut)
        with pytest.raises(Cut):
            train_decoder(other)
    resumed = load_vae(train_decoder(other)).state_dict()
    assert all(torch.equal(weight, whole[name]) for name, weight in resumed.items())


def test_a_folder_that_was_begun_with_something_else_is_refused(recipe: DecoderRecipe) -> None:
    train_decoder(replace(recipe, steps=1))
    with pytest.raises(InvalidField, match="painted"):
        train_decoder(replace(recipe, painted=7))


@pytest.mark.parametrize(("field", "value"), [("widths", (8, 16, 32)), ("crop", 36), ("crop", 128)])
def test_what_does_not_fit_is_refused_before_anything_is_painted(
    recipe: DecoderRecipe, field: str, value: object
) -> None:
    with pytest.raises(InvalidField, match=field):
        train_decoder(replace(recipe, **{field: value}))  # type: ignore[arg-type]
    assert not recipe.run_dir.exists()


def test_a_wide_decoder_is_gone_on_with(recipe: DecoderRecipe, tmp_path: Path) -> None:
    wide = train_decoder(replace(recipe, steps=1))
    other = replace(recipe, model_dir=wide, run_dir=tmp_path / "on", steps=1)
    before, after = (load_vae(folder).state_dict() for folder in (wide, train_decoder(other)))
    assert before.keys() == after.keys()
    assert torch.equal(before["encoder.conv_in.weight"], after["encoder.conv_in.weight"])
    with pytest.raises(InvalidField, match="wide already"):
        train_decoder(replace(other, widths=(16, 32, 64, 64)))
