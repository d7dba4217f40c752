"""Rows with a real, tiny model: the same pictures in any company, and a failure is its own row's."""

import io
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from tests.batch.builders import (
    SIDE,
    base64_of,
    batch_of,
    hashes_of,
    inline_row,
    mask_png,
    picture_png,
    results_of,
    write_csv,
)
from tests.serve.serving import until

from retouch.batch.engage import engaged, inpainter_for_many
from retouch.batch.entry import Painted
from retouch.batch.job import Batch, Engaged, Outcome, run_batch
from retouch.batch.painter import InpaintPainter, may_pass
from retouch.batch.rows import Row
from retouch.errors import (
    Blocked,
    Cancelled,
    EngineClosed,
    GenerationFailed,
    NonFinite,
    OutputDiffers,
    QueueFull,
    RetouchError,
    SourceUnavailable,
    Unavailable,
)
from retouch.inpainter import Inpainter
from retouch.job import Job
from retouch.models.bundle import ModelBundle, Recommended
from retouch.models.load import load_model
from retouch.request import InpaintRequest
from retouch.safety.policy import Score
from retouch.safety.views import Exhibit

STEPS = {"num_inference_steps": 2}


@pytest.fixture(scope="module")
def bundle(checkpoint: Path) -> ModelBundle:
    return load_model(checkpoint)


def _run(batch: Batch, bundle: ModelBundle, **options: Any) -> Outcome:
    def engage() -> AbstractContextManager[Engaged]:
        return engaged(inpainter_for_many(bundle, **options), batch.recipe, batch.roots)

    return run_batch(batch, engage)


def test_a_table_becomes_pictures_and_results(bundle: ModelBundle, tmp_path: Path) -> None:
    table = write_csv(
        tmp_path / "in.csv", [inline_row(0, seed=7, id="first"), inline_row(1, seed="", id="second")]
    )
    outcome = _run(batch_of(table, tmp_path / "out", fields=STEPS), bundle)
    first, second = results_of(tmp_path / "out")
    assert outcome.is_all_done
    assert (first["id"], first["seed"], second["id"]) == ("first", 7, "second")
    assert first["kept_pixels_identical"] is True
    assert first["mask_report"]["width"] == SIDE
    assert "total" in first["timings_s"]


def test_pictures_depend_on_neither_order_nor_company(bundle: ModelBundle, tmp_path: Path) -> None:
    rows = [
        inline_row(number, f"a {word}", id=f"{number}") for number, word in enumerate(("cat", "hat", "dog") * 3)
    ]
    for row, strength in zip(rows, (1, 0.6) * 5):
        row["strength"] = strength
    batch = batch_of(write_csv(tmp_path / "a.csv", rows), tmp_path / "a", fields=STEPS)
    _run(batch, bundle)
    whole = {line["id"]: hashes_of(tmp_path / "a")[line["file"]] for line in results_of(tmp_path / "a")}
    other = batch_of(write_csv(tmp_path / "b.csv", rows[::-2]), tmp_path / "b", fields=STEPS)
    _run(other, bundle)
    part = {line["id"]: hashes_of(tmp_path / "b")[line["file"]] for line in results_of(tmp_path / "b")}
    assert len(part) == 5
    assert part.items() <= whole.items()


def test_variants_are_files_of_their_own(bundle: ModelBundle, tmp_path: Path) -> None:
    table = write_csv(tmp_path / "in.csv", [inline_row(0, seed=7)])
    _run(batch_of(table, tmp_path / "out", fields={**STEPS, "num_images_per_prompt": 3}), bundle)
    (line,) = results_of(tmp_path / "out")
    assert [one["seed"] for one in line["variants"]] == [8, 9]
    assert line["variants"][1]["file"].endswith("000000000-3.png")
    assert len(hashes_of(tmp_path / "out")) == 3


def test_what_the_format_of_the_files_loses_is_told(bundle: ModelBundle, tmp_path: Path) -> None:
    batch = batch_of(write_csv(tmp_path / "in.csv", [inline_row(0)]), tmp_path / "out", fields=STEPS)
    _run(replace(batch, recipe=replace(batch.recipe, format="JPEG")), bundle)
    (line,) = results_of(tmp_path / "out")
    assert line["file"].endswith(".jpg")
    assert any("JPEG is lossy" in warning for warning in line["warnings"])


def test_a_picture_too_long_for_the_format_is_refused_before_it_is_painted(
    inpainter: Inpainter, tmp_path: Path
) -> None:
    file = io.BytesIO()
    Image.new("L", (16_384, 16), 255).save(file, "PNG")
    cells = inline_row(0, image=base64_of(file.getvalue()), mask_image=base64_of(file.getvalue()))
    batch = batch_of(write_csv(tmp_path / "in.csv", [cells]), tmp_path / "out", fields=STEPS)
    flaky = _Flaky(inpainter, NonFinite("it was submitted"))
    painter = InpaintPainter(flaky, replace(batch.recipe, format="WEBP"), batch.roots)  # type: ignore[arg-type]
    painted = painter.paint(Row(0, "in.csv", 0, cells))
    assert painted.record["error"]["code"] == "image_too_large"
    assert flaky.errors


def test_every_kind_of_bad_row_is_told_by_its_code(bundle: ModelBundle, tmp_path: Path) -> None:
    rows = [inline_row(number, strength=1) for number in range(7)]
    rows[1]["strength"] = 3
    rows[2]["mask_image"] = base64_of(mask_png(16))
    rows[3]["image"] = base64_of(b"GIF89a" + bytes(50))
    rows[4]["image"] = base64_of(picture_png()[:200])
    rows[5]["prompt"] = "a naked child"
    outcome = _run(batch_of(write_csv(tmp_path / "in.csv", rows), tmp_path / "out", fields=STEPS), bundle)
    codes = [(line["error"] or {}).get("code") for line in results_of(tmp_path / "out")]
    assert codes == [None, "invalid_field", "mask_size", "image_format", "image_invalid", "blocked", None]
    assert dict(outcome.counts) == {"done": 2, "failed": 4, "blocked": 1}


@pytest.fixture
def inpainter(bundle: ModelBundle) -> Iterator[Inpainter]:
    with inpainter_for_many(bundle) as loaded:
        yield loaded


def _painter(inpainter: Inpainter, tmp_path: Path, **options: Any) -> InpaintPainter:
    batch = batch_of(write_csv(tmp_path / "in.csv", [inline_row(0)]), tmp_path / "out", fields=STEPS)
    return InpaintPainter(inpainter, batch.recipe, batch.roots, **options)


class _Flaky:
    """Stands before an inpainter, and fails some times."""

    def __init__(self, inpainter: Inpainter, *errors: Exception) -> None:
        self._inpainter = inpainter
        self.errors = list(errors)
        self.limits = inpainter.limits

    def submit(self, request: Any) -> Any:
        if self.errors:
            raise self.errors.pop(0)
        return self._inpainter.submit(request)


@pytest.mark.parametrize(
    "error", [GenerationFailed("flaky"), SourceUnavailable("away"), Unavailable("not screened"), MemoryError()]
)
def test_a_failure_that_passes_is_tried_again(inpainter: Inpainter, tmp_path: Path, error: Exception) -> None:
    flaky, pauses = _Flaky(inpainter, error, error), list[float]()
    painter = _painter(flaky, tmp_path, pause=pauses.append)  # type: ignore[arg-type]
    assert painter.paint(Row(0, "in.csv", 0, inline_row(0))).status == "done"
    assert pauses == [1.0, 2.0]


def test_a_failure_that_stays_is_told_after_three_attempts(inpainter: Inpainter, tmp_path: Path) -> None:
    flaky = _Flaky(inpainter, *[GenerationFailed("broken")] * 5)
    painter = _painter(flaky, tmp_path, pause=lambda _: None)  # type: ignore[arg-type]
    painted = painter.paint(Row(0, "in.csv", 0, inline_row(0)))
    assert (painted.status, painted.record["error"]["code"]) == ("failed", "generation_failed")
    assert len(flaky.errors) == 2


def test_a_service_that_says_when_to_come_again_is_left_alone_so_long(
    inpainter: Inpainter, tmp_path: Path
) -> None:
    away = [Unavailable("away", retry_after_s=7.0), Unavailable("away", retry_after_s=1e9)]
    flaky, pauses = _Flaky(inpainter, *away), list[float]()
    painter = _painter(flaky, tmp_path, pause=pauses.append)  # type: ignore[arg-type]
    assert painter.paint(Row(0, "in.csv", 0, inline_row(0))).status == "done"
    assert pauses == [7.0, 60.0]


class _BrokenChecker:
    """Fails some times, and then finds nothing."""

    name, version, is_local = "broken", "1", True

    def __init__(self, failures: int) -> None:
        self.failures = failures

    def check(self, exhibit: Exhibit) -> list[Score]:
        if self.failures:
            self.failures -= 1
            raise RuntimeError("away")
        return [Score("nsfw", "whole", 0.0, 0.5, 0.2)]


@pytest.mark.parametrize("policy", ["black", "error"])
@pytest.mark.parametrize(("failures", "status"), [(2, "done"), (3, "failed")])
def test_a_picture_that_could_not_be_checked_is_made_again_and_never_done(
    bundle: ModelBundle, tmp_path: Path, policy: str, failures: int, status: str
) -> None:
    with inpainter_for_many(bundle, checkers=(_BrokenChecker(failures),)) as inpainter:
        painter = _painter(inpainter, tmp_path, pause=lambda _: None)
        painted = painter.paint(Row(0, "in.csv", 0, inline_row(0, safety=policy)))
    assert painted.status == status
    if status == "failed":
        assert painted.record["error"]["code"] == "unavailable"
        assert painted.pictures == ()


def test_a_defect_is_its_rows_own(inpainter: Inpainter, tmp_path: Path) -> None:
    painter = _painter(_Flaky(inpainter, KeyError("a defect")), tmp_path)  # type: ignore[arg-type]
    painted = painter.paint(Row(0, "in.csv", 0, inline_row(0)))
    assert painted.record["error"] == {"code": "internal", "message": "unexpected KeyError", "hint": ""}


@pytest.mark.parametrize("error", [EngineClosed("gone"), Cancelled("stopped")])
def test_the_end_of_the_engine_is_no_failure_of_a_row(
    inpainter: Inpainter, tmp_path: Path, error: RetouchError
) -> None:
    painter = _painter(_Flaky(inpainter, error), tmp_path)  # type: ignore[arg-type]
    with pytest.raises(type(error)):
        painter.paint(Row(0, "in.csv", 0, inline_row(0)))


def test_a_full_queue_that_nobody_will_empty_is_the_rows_failure(inpainter: Inpainter, tmp_path: Path) -> None:
    flaky = _Flaky(inpainter, *[QueueFull("full")] * 3)
    painter = _painter(flaky, tmp_path, pause=lambda _: None)  # type: ignore[arg-type]
    assert painter.paint(Row(0, "in.csv", 0, inline_row(0))).record["error"]["code"] == "queue_full"


class _RoomForOne:
    """Stands before an inpainter whose queue holds one row."""

    def __init__(self, inpainter: Inpainter) -> None:
        self.limits = inpainter.limits
        self._inpainter = inpainter
        self._job: Job | None = None
        self._lock = threading.Lock()
        self.refused = 0

    def submit(self, request: InpaintRequest) -> Job:
        with self._lock:
            if self._job is not None and not self._job.is_done:
                self.refused += 1
                raise QueueFull("full")
            self._job = self._inpainter.submit(request)
            return self._job


def test_rows_before_a_full_queue_enter_as_others_leave_it(
    inpainter: Inpainter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("retouch.batch.own_queue._WAIT_S", 60.0)  # nobody waits so long: each is told
    room = _RoomForOne(inpainter)
    painter = _painter(room, tmp_path, hands=1, attempts=1)  # type: ignore[arg-type]
    painted: list[Painted] = []
    threads = [
        threading.Thread(
            target=lambda number=number: painted.append(
                painter.paint(Row(number, "in.csv", number, inline_row(number, num_inference_steps=20)))
            )
        )
        for number in range(5)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(15)
    assert [one.status for one in painted] == ["done"] * 5
    assert room.refused


def test_a_row_before_a_full_queue_is_given_up_at_once(
    inpainter: Inpainter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("retouch.batch.own_queue._WAIT_S", 60.0)
    room, ended = _RoomForOne(inpainter), list[str]()
    painter = _painter(room, tmp_path, attempts=1)  # type: ignore[arg-type]

    def paint(number: int) -> None:
        try:
            painter.paint(Row(number, "in.csv", number, inline_row(number, num_inference_steps=150)))
        except Cancelled:
            ended.append("cancelled")

    threads = [threading.Thread(target=paint, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    until(lambda: room.refused == 2)
    painter.cancel()
    for thread in threads:
        thread.join(10)
    assert ended == ["cancelled"] * 3


def test_what_is_under_way_is_given_up_at_once(inpainter: Inpainter, tmp_path: Path) -> None:
    painter, ended = _painter(inpainter, tmp_path), list[str]()

    def paint() -> None:
        try:
            painter.paint(Row(0, "in.csv", 0, inline_row(0, num_inference_steps=150)))
        except Cancelled:
            ended.append("cancelled")

    thread = threading.Thread(target=paint)
    thread.start()
    painter.cancel()
    thread.join(30)
    assert ended == ["cancelled"]


def test_what_may_pass_is_of_the_machine_not_of_the_row() -> None:
    assert may_pass(GenerationFailed("x"))
    assert not any(map(may_pass, (NonFinite("x"), Blocked("x"), ValueError("x"), OSError("x"))))


@pytest.mark.parametrize(
    ("other", "told"),
    [
        ({"prediction_type": "v_prediction"}, "prediction_type"),
        ({"scheduler_class": "EulerAncestralDiscreteScheduler"}, r"scheduler\.class"),
        ({"scheduler_config": {"beta_schedule": "linear"}}, r"scheduler\.beta_schedule"),
        ({"recommended": Recommended(guidance_scale=3.0)}, r"recommended\.guidance_scale"),
        ({"scaling_factor": 0.5}, "scaling_factor"),
    ],
)
def test_the_same_weights_with_another_config_are_another_model(
    bundle: ModelBundle, tmp_path: Path, other: dict[str, Any], told: str
) -> None:
    table = write_csv(tmp_path / "in.csv", [inline_row(0)])
    batch = batch_of(table, tmp_path / "out", fields=STEPS)
    _run(batch, bundle)
    (name,) = hashes_of(tmp_path / "out")
    (tmp_path / "out" / name).unlink()
    with pytest.raises(OutputDiffers, match=rf"another model: .*config\.{told}"):
        _run(batch, replace(bundle, **other))
    assert _run(batch, bundle).made == 1
