"""A result file makes its picture again, and hostile records are errors."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.factories import make_checkpoint

from retouch.engine.settings import EngineSettings
from retouch.errors import BadInput
from retouch.inpainter import Inpainter
from retouch.models.options import LoadOptions
from retouch.replay import remember, replay


def _image(channels: int = 3) -> Any:
    return np.random.default_rng(3).integers(0, 256, (60, 72, channels), dtype=np.uint8)


def _mask() -> Any:
    mask = np.zeros((60, 72), np.uint8)
    mask[20:44, 20:50] = 255
    return mask


def _saved(inpainter: Inpainter, path: Path, **fields: Any) -> Path:
    fields = {"num_inference_steps": 2, "seed": 11, **fields}
    inpainter("a red apple", _image(), _mask(), **fields).save(path)
    return path


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"grow_px": 4, "region": "masked"},
        {"scheduler": "Euler a"},
        {"seam": "harmonic"},
        {"prompt_syntax": "a1111", "negative_prompt": "a (dog:1.3) BREAK [hat]"},
    ],
)
def test_a_result_replays_from_itself_alone(inpainter: Inpainter, tmp_path: Path, fields: dict[str, Any]) -> None:
    replayed = replay(remember(_saved(inpainter, tmp_path / "result.png", **fields)), inpainter)
    assert replayed.is_identical
    assert replayed.max_difference == 0
    assert replayed.notes == ()


@pytest.mark.parametrize("kind", ["colour", "grey", "16 bits", "transparent"])
def test_a_thing_in_a_strip_replays_from_itself_alone(checkpoint: Path, tmp_path: Path, kind: str) -> None:
    folder = shutil.copytree(checkpoint, tmp_path / "things")
    (folder / "retouch.json").write_text(json.dumps({"recommended": {"context": 0.2, "removal": "patchmatch"}}))
    strip = np.zeros((60, 72), np.uint8)
    strip[20:32, 8:66] = 255
    image, mask = _image()[..., 0] if kind == "grey" else _image(), strip
    if kind == "16 bits":
        image = image.astype(np.uint16) * 257
    if kind == "transparent":
        image, mask = np.dstack([image, 255 - strip]), None
    with Inpainter.load(folder) as things:
        result = things("a red apple", image, mask, num_inference_steps=2, seed=11, safety="off")
        assert result.kept_pixels_identical
        result.save(tmp_path / "result.png")
        replayed = replay(remember(tmp_path / "result.png"), things)
    assert replayed.is_identical
    assert replayed.notes == ()


def test_a_picture_that_the_seed_chose_replays_and_remembers_the_words_of_its_request(
    checkpoint: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(checkpoint, tmp_path / "varied")
    _speaking_of_variants(folder)
    with Inpainter.load(folder) as varied:
        memory = remember(_saved(varied, tmp_path / "result.png"))
        replayed = replay(memory, varied)
    assert memory.record.request.prompt == "a red apple"
    assert replayed.is_identical
    assert replayed.notes == ()


@pytest.mark.parametrize("fields", [{"strength": 0.5}, {"feather_px": 5}])
def test_where_the_hole_shows_the_original_is_needed(
    inpainter: Inpainter, tmp_path: Path, fields: dict[str, Any]
) -> None:
    memory = remember(_saved(inpainter, tmp_path / "result.png", **fields))
    with pytest.raises(BadInput, match="original picture is needed"):
        replay(memory, inpainter)
    assert replay(memory, inpainter, image=_image()).is_identical


def test_another_picture_is_not_taken_for_the_original(inpainter: Inpainter, tmp_path: Path) -> None:
    memory = remember(_saved(inpainter, tmp_path / "result.png", strength=0.5))
    with pytest.raises(BadInput, match="not the picture"):
        replay(memory, inpainter, image=255 - _image())


def test_a_picture_whose_transparency_was_the_mask_replays_from_the_original(
    inpainter: Inpainter, tmp_path: Path
) -> None:
    image = _image(4)
    image[..., 3] = 255 - _mask()
    result = inpainter("a cat", image, num_inference_steps=2, seed=1, feather_px=3)
    result.save(tmp_path / "result.png")
    assert replay(remember(tmp_path / "result.png"), inpainter, image=image).is_identical


def test_a_difference_in_how_calls_are_packed_is_noted(
    checkpoint: Path, inpainter: Inpainter, tmp_path: Path
) -> None:
    memory = remember(_saved(inpainter, tmp_path / "result.png"))
    with Inpainter.load(checkpoint, settings=EngineSettings(rows_per_call=6)) as other:
        replayed = replay(memory, other)
    assert "rows_per_call was 2, is 6" in replayed.notes
    assert replayed.max_difference <= 1 / 255


def test_a_lossy_copy_is_told_apart(inpainter: Inpainter, tmp_path: Path) -> None:
    memory = remember(_saved(inpainter, tmp_path / "result.jpg"))
    replayed = replay(memory, inpainter, image=_image())
    assert not replayed.is_identical
    assert "JPEG is lossy" in replayed.notes[0]


def test_a_picture_without_a_record_says_so(inpainter: Inpainter, tmp_path: Path) -> None:
    result = inpainter("a cat", _image(), _mask(), num_inference_steps=1)
    result.save(tmp_path / "bare.png", metadata=False)
    with pytest.raises(BadInput, match="no record"):
        remember(tmp_path / "bare.png")


def test_a_lora_that_is_missing_now_explains_a_difference(inpainter: Inpainter, tmp_path: Path) -> None:
    memory = remember(_saved(inpainter, tmp_path / "result.png", num_inference_steps=1))
    made_with = replace(memory, record=replace(memory.record, adapters=("style.safetensors@0123:1",)))
    (note,) = replay(made_with, inpainter).notes
    assert "style.safetensors@0123:1" in note


def test_another_prediction_type_explains_a_difference(
    checkpoint: Path, inpainter: Inpainter, tmp_path: Path
) -> None:
    memory = remember(_saved(inpainter, tmp_path / "result.png"))
    with Inpainter.load(checkpoint, options=LoadOptions(prediction_type="v_prediction")) as other:
        replayed = replay(memory, other)
    assert not replayed.is_identical
    assert replayed.notes == ("the checkpoint's prediction_type was epsilon, is v_prediction",)


def _spaced_otherwise(folder: Path) -> None:
    path = folder / "scheduler" / "scheduler_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"timestep_spacing": "trailing"}))


def _speaking_of_variants(folder: Path) -> None:
    (folder / "retouch.json").write_text(json.dumps({"recommended": {"variants": ["drawing"]}}))


def _wanting_context(folder: Path) -> None:
    (folder / "retouch.json").write_text(json.dumps({"recommended": {"context": 0.5}}))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (_spaced_otherwise, "another config of the checkpoint"),
        (_speaking_of_variants, "another config of the checkpoint"),
        (_wanting_context, "saw another part of the picture"),
    ],
)
def test_what_a_checkpoint_says_beside_its_weights_explains_a_difference(
    checkpoint: Path, inpainter: Inpainter, tmp_path: Path, change: Callable[[Path], None], told: str
) -> None:
    memory = remember(_saved(inpainter, tmp_path / "result.png"))
    folder = shutil.copytree(checkpoint, tmp_path / "changed")
    change(folder)
    with Inpainter.load(folder) as other:
        replayed = replay(memory, other)
    assert not replayed.is_identical
    (note,) = replayed.notes
    assert told in note


def _grey(image: Any) -> Any:
    return image[..., 0]


def _opaque(image: Any) -> Any:
    return np.dstack((image, np.full(image.shape[:2], 255, np.uint8)))


@pytest.mark.parametrize("kind", [_grey, _opaque])
@pytest.mark.parametrize("is_given", [True, False])
def test_webp_replays_whatever_it_has_no_form_for(
    inpainter: Inpainter, tmp_path: Path, kind: Callable[[Any], Any], is_given: bool
) -> None:
    image = kind(_image())
    inpainter("a cat", image, _mask(), seed=1, num_inference_steps=2).save(tmp_path / "result.webp")
    replayed = replay(remember(tmp_path / "result.webp"), inpainter, image=image if is_given else None)
    assert replayed.is_identical
    assert (replayed.max_difference, replayed.notes) == (0.0, ())


def test_bits_that_the_file_does_not_hold_are_told(inpainter: Inpainter, tmp_path: Path) -> None:
    image = _image().astype(np.uint16) * 257 + 100
    inpainter("a cat", image, _mask(), seed=1, num_inference_steps=2).save(tmp_path / "result.webp")
    replayed = replay(remember(tmp_path / "result.webp"), inpainter, image=image)
    assert replayed.is_identical
    assert replayed.notes == ("the file holds 8 of the 16 bits a sample that were made",)


def test_a_difference_of_alpha_alone_has_a_size(inpainter: Inpainter, tmp_path: Path) -> None:
    image = np.dstack((_image(), _mask() // 2))
    inpainter("a cat", image, _mask(), seed=1, num_inference_steps=1).save(tmp_path / "result.png")
    memory = remember(tmp_path / "result.png")
    assert memory.picture.alpha is not None
    touched = replace(memory, picture=replace(memory.picture, alpha=memory.picture.alpha ^ 1))
    replayed = replay(touched, inpainter, image=image)
    assert not replayed.is_identical
    assert replayed.max_difference == 1 / 255


def test_a_picture_that_the_safety_check_replaced_is_told(tmp_path: Path) -> None:
    # Every verdict of a random checker is a refusal.
    with Inpainter.load(make_checkpoint(tmp_path / "checked", safety_checker=True), checkers=()) as guarded:
        memory = remember(_saved(guarded, tmp_path / "result.png", safety="off"))
        replayed = replay(memory, guarded)
    assert not replayed.is_identical
    assert replayed.notes == ("the safety check replaced the new picture",)
