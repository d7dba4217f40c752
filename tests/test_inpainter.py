"""The whole path, from a request to a result, with a real (tiny, random) model."""

import io
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import load_file, save_file
from tests.factories import make_checkpoint

from retouch.engine.settings import EngineSettings
from retouch.engine.ticket import Progress
from retouch.errors import (
    Blocked,
    Cancelled,
    DeadlineExceeded,
    EngineClosed,
    MaskSizeError,
    ModelError,
    RetouchError,
)
from retouch.inpainter import Inpainter, rows_of_many
from retouch.request import InpaintRequest
from retouch.result import InpaintResult
from retouch.safety.checkers import ViewChecker
from retouch.safety.policy import Score
from retouch.safety.screen import ScreenFinding, ScreenResult
from retouch.safety.views import Exhibit

U8 = NDArray[np.uint8]


def _image(height: int = 40, width: int = 48, seed: int = 0) -> U8:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def _mask(height: int = 40, width: int = 48) -> U8:
    mask = np.zeros((height, width), np.uint8)
    mask[height // 4 : height // 2, width // 4 : width // 2] = 255
    return mask


def _request(seed: int = 7, **fields: Any) -> InpaintRequest:
    return InpaintRequest("a red apple", _image(), _mask(), num_inference_steps=3, seed=seed).with_fields(**fields)


class FlagEverything(ViewChecker):
    """A checker that refuses every picture."""

    name, version, threshold, near = "test", "1", 0.5, 0.2

    def scores(self, views: Sequence[U8]) -> list[float]:
        return [1.0] * len(views)


class Broken(FlagEverything):
    """A checker that cannot answer."""

    def scores(self, views: Sequence[U8]) -> list[float]:
        raise RuntimeError("no answer")


@pytest.fixture(scope="module")
def refusing(checkpoint: Path) -> Iterator[Inpainter]:
    with Inpainter.load(checkpoint, checkers=[FlagEverything()]) as loaded:
        yield loaded


def test_a_call_is_sugar_for_a_request(inpainter: Inpainter) -> None:
    called = inpainter("a red apple", _image(), _mask(), num_inference_steps=3, seed=7)
    assert np.array_equal(called.image, inpainter.run(_request()).image)


def test_variants_have_consecutive_seeds_and_equal_the_same_seed_alone(inpainter: Inpainter) -> None:
    result = inpainter.run(_request(num_images_per_prompt=3))
    assert result.seeds == [7, 8, 9]
    assert result.nsfw_content_detected == [False, False, False]
    assert np.array_equal(result.images[2], inpainter.run(_request(seed=9)).image)


def test_a_seed_that_was_not_given_is_named_and_works_again(inpainter: Inpainter) -> None:
    first = inpainter.run(_request().with_fields(seed=None))
    assert np.array_equal(first.image, inpainter.run(_request(seed=first.seeds[0])).image)


def test_the_hole_changes_and_nothing_else(inpainter: Inpainter) -> None:
    result = inpainter.run(_request())
    changed = (np.asarray(result.image) != _image()).any(axis=2)
    assert changed[_mask() > 0].mean() > 0.9
    assert not changed[_mask() == 0].any()
    assert result.kept_pixels_identical is True


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    height=st.integers(16, 90),
    width=st.integers(16, 90),
    depth=st.sampled_from([np.uint8, np.uint16]),
    channels=st.sampled_from([1, 3, 4]),
    feather=st.integers(0, 9),
    grow=st.integers(0, 5),
    region=st.sampled_from(["auto", "whole", "masked"]),
    strength=st.sampled_from([0.5, 1.0]),
    seed=st.integers(0, 2**32 - 1),
)
def test_kept_pixels_are_identical_whatever_is_asked(
    inpainter: Inpainter,
    height: int,
    width: int,
    depth: type[np.uint8] | type[np.uint16],
    channels: int,
    feather: int,
    grow: int,
    region: str,
    strength: float,
    seed: int,
) -> None:
    rng = np.random.default_rng(seed)
    shape = (height, width) if channels == 1 else (height, width, channels)
    image = rng.integers(0, np.iinfo(depth).max, shape, dtype=depth, endpoint=True)
    mask = (rng.random((height, width)) < 0.02) * np.uint8(255)
    mask[rng.integers(height), rng.integers(width)] = 255
    result = inpainter(
        "a cat", image, mask, num_inference_steps=1, seed=seed, strength=strength,
        guidance_scale=1.0, feather_px=feather, grow_px=grow, region=region, safety="off",
    )  # fmt: skip
    picture = result.fills[0].picture
    kept = ~result.mask
    assert np.array_equal(picture.pixels[kept], result.original.pixels[kept])
    assert picture.pixels.dtype == depth
    if channels == 4:
        assert picture.alpha is not None
        assert np.array_equal(picture.alpha[kept], image[..., 3][kept])
    assert result.kept_pixels_identical is True


def test_what_the_mask_hides_does_not_matter_at_full_strength(inpainter: Inpainter) -> None:
    image = _image(120, 160)
    mask = _mask(120, 160)
    other = image.copy()
    other[mask > 0] = 255 - other[mask > 0]
    one, two = (
        inpainter("a cat", x, mask, num_inference_steps=2, seed=1, region="masked") for x in (image, other)
    )
    assert np.array_equal(one.image, two.image)


@pytest.mark.parametrize("content", ["fill", "patchmatch"])
def test_without_a_model_the_hole_is_its_surroundings_at_their_own_size(
    inpainter: Inpainter, content: str
) -> None:
    image = np.tile(np.array([[40], [200]], np.uint8).repeat(4, 0), (15, 150))[..., None].repeat(3, 2)
    image = np.ascontiguousarray(image)
    mask = np.zeros(image.shape[:2], np.uint8)
    mask[50:71, 61:90] = 255
    spoilt = image.copy()
    spoilt[mask > 0] = (255, 0, 255)
    calls = inpainter.stats().calls
    result = inpainter("", spoilt, mask, strength=0, masked_content=content, safety="off", seed=1)
    assert inpainter.stats().calls == calls
    assert result.fills[0].kept_pixels_identical
    differs = np.abs(result.fills[0].picture.pixels.astype(int) - image).max(axis=2)
    assert not differs[mask == 0].any()
    assert (differs.max() <= 2) == (content == "patchmatch")


def test_progress_is_told_on_the_callers_thread(inpainter: Inpainter) -> None:
    seen: list[tuple[Progress, int]] = []
    inpainter.run(
        _request(num_inference_steps=40, num_images_per_prompt=3),
        on_progress=lambda progress: seen.append((progress, threading.get_ident())),
    )
    assert {thread for _, thread in seen} == {threading.get_ident()}
    assert all(0 <= progress.step <= progress.total for progress, _ in seen)


def test_a_callback_that_fails_ends_the_job(inpainter: Inpainter) -> None:
    def fail(_: Progress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        inpainter.run(_request(num_inference_steps=150, num_images_per_prompt=16), on_progress=fail)
    assert inpainter.run(_request()).kept_pixels_identical  # and the engine goes on


def test_a_cancelled_job_says_so(inpainter: Inpainter) -> None:
    job = inpainter.submit(_request(num_inference_steps=150, num_images_per_prompt=4))
    job.cancel()
    with pytest.raises(Cancelled):
        job.result()


def test_a_deadline_ends_a_request(inpainter: Inpainter) -> None:
    with pytest.raises(DeadlineExceeded):
        inpainter.run(_request(num_inference_steps=150, num_images_per_prompt=8, deadline_s=1e-3))


def test_map_keeps_the_order_and_puts_errors_in_their_place(inpainter: Inpainter) -> None:
    requests = [_request(seed=seed) for seed in range(7)]
    requests[3] = requests[3].with_fields(mask_image=_mask(8, 8))
    results = list(inpainter.map(requests, on_error="return"))
    assert isinstance(results[3], MaskSizeError)
    good = [result for result in results if isinstance(result, InpaintResult)]
    assert [result.seeds[0] for result in good] == [0, 1, 2, 4, 5, 6]


def test_map_raises_the_first_error_by_default(inpainter: Inpainter) -> None:
    with pytest.raises(MaskSizeError):
        list(inpainter.map([_request(), _request(mask_image=_mask(8, 8)), _request()]))


def test_map_without_order_yields_everything_once(inpainter: Inpainter) -> None:
    steps = [30, 1, 1, 1, 1]
    requests = [_request(seed=seed, num_inference_steps=count) for seed, count in enumerate(steps)]
    results = [r for r in inpainter.map(requests, ordered=False) if not isinstance(r, RetouchError)]
    assert sorted(result.seeds[0] for result in results) == [0, 1, 2, 3, 4]


def test_map_reads_no_further_ahead_than_it_must(checkpoint: Path) -> None:
    drawn: list[int] = []

    def requests() -> Iterator[InpaintRequest]:
        for seed in range(50):
            drawn.append(seed)
            yield _request(seed=seed, num_inference_steps=1)

    with Inpainter.load(checkpoint, settings=EngineSettings(rows_per_call=2)) as narrow:
        stream = narrow.map(requests())
        next(stream)
        assert len(drawn) <= 4
        stream.close()


def test_map_fills_calls_to_the_knee_unless_told_otherwise(inpainter: Inpainter, checkpoint: Path) -> None:
    def rows(using: Inpainter, count: int) -> set[int]:
        results = using.map(_request(seed=seed, num_inference_steps=1) for seed in range(count))
        return {one.fills[0].metadata.record["rows_per_call"] for one in results if isinstance(one, InpaintResult)}

    assert rows(inpainter, 3) == rows(inpainter, 1) == {inpainter.bundle.row_knee} == {16}
    assert inpainter.run(_request()).fills[0].metadata.record["rows_per_call"] == 2
    with Inpainter.load(checkpoint, settings=EngineSettings(rows_per_call=4)) as told:
        assert rows(told, 3) == {4}


def test_a_picture_of_map_does_not_depend_on_its_company(inpainter: Inpainter) -> None:
    requests = [_request(seed=seed, num_inference_steps=2) for seed in range(11)]
    (alone,) = inpainter.map(requests[10:])
    *_, last = inpainter.map(requests)
    assert isinstance(alone, InpaintResult)
    assert isinstance(last, InpaintResult)
    assert np.array_equal(np.asarray(alone.image), np.asarray(last.image))


def test_on_a_gpu_map_makes_calls_that_surely_fit(inpainter: Inpainter) -> None:
    assert rows_of_many(inpainter.bundle) == inpainter.bundle.row_knee
    assert rows_of_many(replace(inpainter.bundle, device=torch.device("cuda"))) == 2  # whose memory nobody knows


def test_on_a_gpu_of_known_memory_calls_are_as_large_as_pays(
    inpainter: Inpainter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("retouch.inpainter.memory_bytes", lambda device: 80 * 2**30)
    assert rows_of_many(replace(inpainter.bundle, device=torch.device("cuda"), row_knee=32)) == 32


def test_precision_and_threads_are_named_at_the_door_and_recorded(checkpoint: Path) -> None:
    before = torch.get_num_threads()
    try:
        with Inpainter.load(checkpoint, dtype="bf16", threads=1) as told:
            result = told.run(_request())
    finally:
        torch.set_num_threads(before)
    device = result.fills[0].metadata.record["device"]
    assert (device["dtype"], device["vae_dtype"], device["threads"]) == ("torch.bfloat16", "torch.float32", 1)
    assert result.kept_pixels_identical is True


def test_map_reads_no_more_pictures_ahead_than_memory_is_for(checkpoint: Path) -> None:
    drawn: list[int] = []

    def requests() -> Iterator[InpaintRequest]:
        for seed in range(12):
            drawn.append(seed)
            yield _request(seed=seed, num_inference_steps=1, image=_image(200, 200), mask_image=_mask(200, 200))

    # A picture of 200 x 200 with its mask takes 160 kB and more; a quarter of the bound is 100 kB.
    settings = EngineSettings(rows_per_call=16, max_queued_bytes=400_000)
    with Inpainter.load(checkpoint, settings=settings) as small:
        stream = small.map(requests())
        next(stream)
        assert len(drawn) == 2
        assert len(list(stream)) == 11


def test_map_waits_where_the_queue_is_smaller_than_the_stream(checkpoint: Path) -> None:
    settings = EngineSettings(rows_per_call=8, max_queued_rows=4)
    with Inpainter.load(checkpoint, settings=settings) as small:
        assert len(list(small.map(_request(seed=seed) for seed in range(6)))) == 6


def test_map_reads_each_picture_once(checkpoint: Path) -> None:
    def opened() -> io.BytesIO:
        file = io.BytesIO()
        Image.fromarray(_image()).save(file, "PNG")
        file.seek(0)
        return file

    settings = EngineSettings(rows_per_call=8, max_queued_rows=4)
    with Inpainter.load(checkpoint, settings=settings) as small:
        results = list(small.map((_request(image=opened()) for _ in range(6)), on_error="return"))
    assert all(isinstance(result, InpaintResult) for result in results)


def test_the_engine_of_many_starts_with_the_first_picture_of_map(checkpoint: Path) -> None:
    with Inpainter.load(checkpoint) as inpainter:
        inpainter.run(_request())
        assert inpainter._engine_of_many is None
        list(inpainter.map([_request()]))
        assert inpainter._engine_of_many is not None
    with pytest.raises(EngineClosed):
        list(inpainter.map([_request()]))
    with Inpainter.load(checkpoint) as closed:
        pass
    with pytest.raises(EngineClosed):
        list(closed.map([_request()]))


def test_leaving_by_an_error_waits_for_nothing(checkpoint: Path) -> None:
    left = Inpainter.load(checkpoint)
    job = left.submit(_request(num_inference_steps=150, num_images_per_prompt=16))
    left.__exit__(KeyError, KeyError(), None)
    with pytest.raises(EngineClosed):
        job.result()


def test_a_refused_picture_is_black_and_says_so(refusing: Inpainter) -> None:
    result = refusing.run(_request())
    assert not np.asarray(result.image).any()
    assert result.nsfw_content_detected == [True]
    assert result.kept_pixels_identical is None


def test_the_error_policy_hands_nothing_out(refusing: Inpainter) -> None:
    with pytest.raises(Blocked):
        refusing.run(_request(safety="error"))


def test_a_check_that_fails_counts_as_unsafe(checkpoint: Path) -> None:
    with Inpainter.load(checkpoint, checkers=[Broken()]) as closed:
        result = closed.run(_request())
    assert not np.asarray(result.image).any()
    assert result.nsfw_content_detected == [True]


def test_a_checkpoints_own_checker_judges_beside_the_packaged_one(tmp_path: Path) -> None:
    make_checkpoint(tmp_path, safety_checker=True)
    with Inpainter.load(tmp_path) as loaded:
        checks = loaded.run(_request()).fills[0].safety["checks"]
    assert [check["checker"] for check in checks] == ["open_nsfw", "StableDiffusionSafetyChecker"]


def test_a_checkpoint_whose_checker_could_flag_nothing_is_refused(tmp_path: Path) -> None:
    weights = make_checkpoint(tmp_path, safety_checker=True) / "safety_checker" / "model.safetensors"
    tensors = load_file(weights)
    tensors["concept_embeds_weights"].fill_(2.0)
    save_file(tensors, weights)
    with pytest.raises(ModelError, match="outside what a cosine reaches"):
        Inpainter.load(tmp_path)


def test_without_a_check_there_is_no_flag(refusing: Inpainter) -> None:
    result = refusing.run(_request(safety="off"))
    assert result.nsfw_content_detected == [None]
    assert np.asarray(result.image).any()


def test_components_of_a_pipeline_in_memory_give_the_same_picture(checkpoint: Path, inpainter: Inpainter) -> None:
    from diffusers import StableDiffusionInpaintPipeline

    pipe = StableDiffusionInpaintPipeline.from_pretrained(checkpoint)
    with Inpainter.from_pipe(pipe) as taken:
        assert np.array_equal(taken.run(_request()).image, inpainter.run(_request()).image)


class Refuses:
    """A screen that refuses every request, and a checker that is no machine's own."""

    name, version, is_local = "refuses", "1", False

    def __init__(self) -> None:
        self.seen: list[Exhibit] = []

    def screen(self, request: InpaintRequest) -> ScreenResult:
        return ScreenResult("block", (ScreenFinding("violence", ()),))

    def check(self, exhibit: Exhibit) -> list[Score]:
        self.seen.append(exhibit)
        return [Score("violence", "whole", 6, 4, 2)]


def test_a_request_that_a_screen_refuses_is_not_even_decoded(inpainter: Inpainter) -> None:
    with (
        Inpainter(inpainter.bundle, screens=[Refuses()]) as guarded,
        pytest.raises(Blocked, match="the prompt is refused: violence"),
    ):
        guarded.submit(_request(image=b"no picture"))


def test_input_is_screened_where_the_deployment_wants_it(inpainter: Inpainter) -> None:
    refuses = Refuses()
    with Inpainter(inpainter.bundle, more_checkers=[refuses], screen_input=True) as guarded:
        with pytest.raises(Blocked, match="the picture that came in"):
            guarded.run(_request())
        assert guarded.run(_request(safety="off")).nsfw_content_detected == [None]
    assert [exhibit.picture.pixels.shape for exhibit in refuses.seen] == [(40, 48, 3)]


def test_more_checkers_judge_beside_the_packaged_one(inpainter: Inpainter) -> None:
    refuses = Refuses()
    with Inpainter(inpainter.bundle, more_checkers=[refuses]) as guarded:
        (fill,) = guarded.run(_request()).fills
    assert [check["checker"] for check in fill.safety["checks"]] == ["open_nsfw", "refuses"]
    assert fill.nsfw_content_detected is True
    assert len(refuses.seen) == 1


def test_the_time_that_screening_takes_counts_to_the_deadline(inpainter: Inpainter) -> None:
    class Watched(Refuses):
        def screen(self, request: InpaintRequest) -> ScreenResult:
            read_at.append(time.monotonic())
            return ScreenResult("pass")

    read_at: list[float] = []
    with Inpainter(inpainter.bundle, screens=[Watched()]) as guarded:
        prepared, _ = guarded._prepare(_request(deadline_s=5.0))
    assert prepared.plans[0].deadline is not None
    assert prepared.plans[0].deadline <= read_at[0] + 5.0
