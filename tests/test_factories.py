"""The tiny checkpoints are whole and the same every time."""

from pathlib import Path

import torch
from diffusers import StableDiffusionInpaintPipeline
from tests.factories import make_checkpoint


def test_checkpoint_is_whole_and_depends_on_its_seed_alone(tmp_path: Path) -> None:
    first, second = (make_checkpoint(tmp_path / name) for name in ("first", "second"))
    unets = [StableDiffusionInpaintPipeline.from_pretrained(folder).unet for folder in (first, second)]
    states = [unet.state_dict() for unet in unets]
    assert unets[0].config.in_channels == 9
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_tokenizer_gives_known_words_one_token_each(tmp_path: Path) -> None:
    pipe = StableDiffusionInpaintPipeline.from_pretrained(make_checkpoint(tmp_path))
    assert len(pipe.tokenizer("a red apple").input_ids) == 5
