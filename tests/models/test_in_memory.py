"""A pipeline in memory gives the same bundle as its folder."""

import json
from pathlib import Path

import pytest
import torch
from diffusers import DDIMScheduler, StableDiffusionInpaintPipeline
from tests.factories import make_checkpoint

from retouch.errors import ModelUnsupported
from retouch.models.in_memory import from_pipe
from retouch.models.load import load_model
from retouch.models.options import LoadOptions


def test_bundle_equals_that_of_the_folder(tmp_path: Path) -> None:
    make_checkpoint(tmp_path, safety_checker=True)
    ours = from_pipe(StableDiffusionInpaintPipeline.from_pretrained(tmp_path))
    theirs = load_model(tmp_path, LoadOptions(device="cpu"))
    for name in ("kind", "native_size", "size_multiple", "scaling_factor", "prediction_type", "scheduler_class"):
        assert getattr(ours, name) == getattr(theirs, name)
    assert torch.allclose(ours.preview_matrix(), theirs.preview_matrix(), atol=1e-4)
    assert ours.safety_checker is not None
    assert ours.path is None


def test_scheduler_config_is_the_makers_without_diffusers_defaults(tmp_path: Path) -> None:
    make_checkpoint(tmp_path)
    path = tmp_path / "scheduler" / "scheduler_config.json"
    given = {"_class_name": "DDIMScheduler", "beta_start": 0.001, "steps_offset": 1}
    path.write_text(json.dumps(given))
    config = from_pipe(StableDiffusionInpaintPipeline.from_pretrained(tmp_path)).scheduler_config
    assert {key: value for key, value in config.items() if key != "_diffusers_version"} == given


def test_hash_follows_the_weights(tmp_path: Path) -> None:
    pipe = StableDiffusionInpaintPipeline.from_pretrained(make_checkpoint(tmp_path))
    first = from_pipe(pipe).content_hash
    assert first == from_pipe(pipe).content_hash
    pipe.unet.conv_out.bias.data[0] += 1
    assert first != from_pipe(pipe).content_hash


def test_a_pipeline_in_half_precision_stays_usable(tmp_path: Path) -> None:
    make_checkpoint(tmp_path, safety_checker=True)
    pipe = StableDiffusionInpaintPipeline.from_pretrained(tmp_path, torch_dtype=torch.float16)
    bundle = from_pipe(pipe)
    modules = (pipe.unet, pipe.vae, pipe.text_encoder, pipe.safety_checker)
    assert {next(module.parameters()).dtype for module in modules} == {torch.float16}
    assert (bundle.dtype, bundle.vae_dtype) == (torch.float16, torch.float16)


def test_other_pipelines_are_refused_by_what_they_lack() -> None:
    class NotOne:
        scheduler = DDIMScheduler()

    with pytest.raises(ModelUnsupported, match="has no unet"):
        from_pipe(NotOne())
