"""A batch from its input to its files, with a painter of no cost."""

import threading
from pathlib import Path

import pytest
from tests.batch.builders import (
    StandIn,
    base64_of,
    batch_of,
    hashes_of,
    inline_row,
    mask_png,
    picture_png,
    results_of,
    stand_in,
    temporaries_of,
    write_csv,
    write_jsonl,
)

from retouch.batch.claim import turn
from retouch.batch.job import Batch, Outcome, check_output, run_batch
from retouch.batch.rows import Columns
from retouch.batch.runner import Allowance
from retouch.errors import BadInput, OutputDiffers, OutputInUse, TooManyFailures
from retouch.imaging.save import open_beside


def _run(batch: Batch, painter: StandIn | None = None) -> Outcome:
    return run_batch(batch, lambda: stand_in(batch, painter))


@pytest.fixture
def table(tmp_path: Path) -> Path:
    prompts = ("a cat", "a hat", "a boat")
    return write_csv(tmp_path / "in.csv", [inline_row(number, prompts[number % 3]) for number in range(10)])


def test_every_row_has_a_picture_and_a_line_in_the_order_of_the_input(table: Path, tmp_path: Path) -> None:
    outcome = _run(batch_of(table, tmp_path / "out"))
    results = results_of(tmp_path / "out")
    assert outcome.is_all_done
    assert [line["row"] for line in results] == list(range(10))
    assert all((tmp_path / "out" / line["file"]).is_file() for line in results)
    assert temporaries_of(tmp_path / "out") == []


def test_a_bad_row_is_told_and_the_others_are_done(tmp_path: Path) -> None:
    rows = [inline_row(number) for number in range(6)]
    rows[2]["image"] = "!!! no base64"
    rows[4]["image"] = ""
    outcome = _run(batch_of(write_csv(tmp_path / "in.csv", rows), tmp_path / "out"))
    results = results_of(tmp_path / "out")
    assert dict(outcome.counts) == {"done": 4, "failed": 2}
    assert [line["status"] for line in results] == ["done", "done", "failed", "done", "failed", "done"]
    assert results[2]["error"]["code"] == "bad_row"
    assert results[2]["file"] is None
    assert "image" in results[2]["error"]["message"]


def test_a_second_run_computes_nothing_again_and_loads_no_model(table: Path, tmp_path: Path) -> None:
    batch = batch_of(table, tmp_path / "out")
    _run(batch)

    def no_model() -> None:
        raise AssertionError("the model was loaded")

    outcome = run_batch(batch, no_model)  # type: ignore[arg-type]
    assert (outcome.made, outcome.counts["done"]) == (0, 10)


def test_a_lost_or_changed_picture_is_made_again_and_told(table: Path, tmp_path: Path) -> None:
    batch = batch_of(table, tmp_path / "out")
    _run(batch)
    before = hashes_of(tmp_path / "out")
    names = list(before)
    (tmp_path / "out" / names[1]).unlink()
    (tmp_path / "out" / names[5]).write_bytes(b"x" * (tmp_path / "out" / names[5]).stat().st_size)
    painter = StandIn(batch)
    outcome = _run(batch, painter)
    assert sorted(painter.painted) == [1, 5]
    assert outcome.recomputed == 2
    assert hashes_of(tmp_path / "out") == before


def test_rows_after_an_interruption_are_the_only_ones_computed(table: Path, tmp_path: Path) -> None:
    batch = batch_of(table, tmp_path / "out", allowance=Allowance(number=0))
    rows = table.read_text()
    write_csv(table, [inline_row(0), *[inline_row(k) | {"image": ""} for k in range(1, 2)]])
    with pytest.raises(TooManyFailures):
        _run(batch)
    assert [line["status"] for line in results_of(tmp_path / "out")] == ["done", "failed"]
    table.write_text(rows)


def test_another_input_on_the_same_output_is_refused_with_the_difference(table: Path, tmp_path: Path) -> None:
    _run(batch_of(table, tmp_path / "out"))
    write_csv(table, [inline_row(99)])
    with pytest.raises(OutputDiffers, match=r"another input: in\.csv\.edges_sha256"):
        _run(batch_of(table, tmp_path / "out"))


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for number, name in enumerate("ab"):
        (folder / f"{name}.png").write_bytes(picture_png(number))
        (folder / f"{name}.mask.png").write_bytes(mask_png())
        (folder / f"{name}.txt").write_text("a red apple")
    return folder


@pytest.mark.parametrize("name", ["b.png", "b.txt", "b.mask.png"])
def test_a_folder_in_which_a_file_was_replaced_is_another_input(photos: Path, tmp_path: Path, name: str) -> None:
    _run(batch_of(photos, tmp_path / "out"))
    (photos / name).write_bytes(b"another")
    with pytest.raises(OutputDiffers, match=rf"another input: photos\.content\.{name} was"):
        _run(batch_of(photos, tmp_path / "out"))


def test_pictures_of_a_folder_may_be_mended_where_their_rows_failed(photos: Path, tmp_path: Path) -> None:
    (photos / "b.txt").write_bytes(b"\xff")
    assert _run(batch_of(photos, tmp_path / "out")).counts["failed"] == 1
    (photos / "b.txt").write_text("a blue boat")
    assert dict(_run(batch_of(photos, tmp_path / "out", retries_failed=True)).counts) == {"done": 2}
    (photos / "b.txt").write_text("a cat")
    with pytest.raises(OutputDiffers):
        _run(batch_of(photos, tmp_path / "out"))


def test_other_settings_on_the_same_output_are_refused_with_the_difference(table: Path, tmp_path: Path) -> None:
    _run(batch_of(table, tmp_path / "out", fields={"strength": 0.5}))
    with pytest.raises(OutputDiffers, match=r"another settings: fields\.strength was 0\.5, is 0\.7"):
        _run(batch_of(table, tmp_path / "out", fields={"strength": 0.7}))


def test_two_runs_on_one_output_are_refused(table: Path, tmp_path: Path) -> None:
    batch, gate = batch_of(table, tmp_path / "out"), threading.Event()
    entered = threading.Event()

    class Held(StandIn):
        def paint(self, row):  # type: ignore[no-untyped-def]
            entered.set()
            return super().paint(row)

    first = threading.Thread(target=_run, args=(batch, Held(batch, gate=gate)))
    first.start()
    try:
        assert entered.wait(30)
        with pytest.raises(OutputInUse, match="another run"):
            _run(batch)
    finally:
        gate.set()
        first.join()
    assert _run(batch).counts["done"] == 10


def test_seeds_do_not_depend_on_order_or_company(tmp_path: Path) -> None:
    rows = [inline_row(number, f"prompt {number}") for number in range(6)]
    _run(batch_of(write_csv(tmp_path / "a.csv", rows), tmp_path / "a", seed=5))
    _run(batch_of(write_jsonl(tmp_path / "b.jsonl", rows[::-1][:4]), tmp_path / "b", seed=5))
    one = {line["seed"] for line in results_of(tmp_path / "a")}
    other = {line["seed"] for line in results_of(tmp_path / "b")}
    assert len(one) == 6
    assert other < one


def test_another_seed_of_the_run_gives_other_seeds(table: Path, tmp_path: Path) -> None:
    _run(batch_of(table, tmp_path / "a", seed=1))
    _run(batch_of(table, tmp_path / "b", seed=2))
    seeds = [{line["seed"] for line in results_of(tmp_path / name)} for name in ("a", "b")]
    assert not seeds[0] & seeds[1]


def test_failed_rows_stay_failed_unless_they_shall_be_tried_again(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    rows = [{"image": "a.png", "mask": base64_of(mask_png()), "prompt": "a cat"}]
    table = write_csv(tmp_path / "in" / "in.csv", rows)
    assert _run(batch_of(table, tmp_path / "out")).counts["failed"] == 1
    (tmp_path / "in" / "a.png").write_bytes(picture_png())
    assert _run(batch_of(table, tmp_path / "out")).counts["failed"] == 1
    assert dict(_run(batch_of(table, tmp_path / "out", retries_failed=True)).counts) == {"done": 1}


def test_a_share_of_failures_ends_the_run_early(tmp_path: Path) -> None:
    rows = [inline_row(number) | ({"image": "?"} if number % 2 else {}) for number in range(40)]
    batch = batch_of(write_csv(tmp_path / "in.csv", rows), tmp_path / "out", allowance=Allowance(share=0.1))
    with pytest.raises(TooManyFailures) as told:
        _run(batch)
    assert "--retry-failed" in told.value.hint


def test_an_unknown_column_is_refused_by_name_before_anything_is_written(tmp_path: Path) -> None:
    table = write_csv(tmp_path / "in.csv", [inline_row(0, stepz=3)])
    with pytest.raises(BadInput, match="'stepz'"):
        _run(batch_of(table, tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_unknown_columns_are_taken_along_where_that_is_wanted(tmp_path: Path) -> None:
    table = write_csv(tmp_path / "in.csv", [inline_row(0, author="Ada", id="x1")])
    _run(batch_of(table, tmp_path / "out", columns=Columns(keep_extra=True)))
    (line,) = results_of(tmp_path / "out")
    assert (line["id"], line["extra"]) == ("x1", {"author": "Ada"})


def test_the_folder_of_the_input_is_no_output(table: Path, tmp_path: Path) -> None:
    batch = batch_of(table, tmp_path)
    with pytest.raises(BadInput, match="folder of the input"):
        check_output(batch.output, batch.source)


def test_an_interrupt_keeps_what_is_done_and_the_rest_is_done_later(table: Path, tmp_path: Path) -> None:
    batch = batch_of(table, tmp_path / "out")
    kept: list[int] = []

    class Interrupted(StandIn):
        def paint(self, row):  # type: ignore[no-untyped-def]
            if row.number == 5:
                raise KeyboardInterrupt
            return super().paint(row)

    with pytest.raises(KeyboardInterrupt):
        run_batch(
            batch,
            lambda: stand_in(batch, Interrupted(batch), 1),
            on_progress=lambda at: kept.append(at.finished),
        )
    outcome = _run(batch)
    assert outcome.made == 10 - max(kept, default=0)
    assert outcome.is_all_done
    assert temporaries_of(tmp_path / "out") == []


def test_one_prompt_for_all_serves_rows_whose_cell_is_empty(tmp_path: Path) -> None:
    table = write_csv(tmp_path / "in.csv", [inline_row(0, ""), inline_row(0, "a cat"), inline_row(0, "a dog")])
    for name, fields in (("a", {}), ("b", {"prompt": "a cat"})):
        _run(batch_of(table, tmp_path / name, fields=fields, seed=1))
    one, other = (list(hashes_of(tmp_path / name).values()) for name in ("a", "b"))
    assert one[0] != other[0]
    assert one[1:] == other[1:]


def test_a_lone_surrogate_in_an_id_does_not_end_the_run(tmp_path: Path) -> None:
    table = write_jsonl(tmp_path / "in.jsonl", [inline_row(0, id="\ud800"), inline_row(1, id="fine")])
    assert sum(_run(batch_of(table, tmp_path / "out")).counts.values()) == 2


def test_results_that_were_being_written_when_a_run_was_killed_are_swept_away(table: Path, tmp_path: Path) -> None:
    batch = batch_of(table, tmp_path / "out", formats=("csv", "webdataset"))
    _run(batch)
    left = [tmp_path / "out" / name for name in ("results.csv", "shards/000000.tar")]
    for path in left:
        open_beside(path)[1].close()
    (tmp_path / "out" / ".mine.tmp").touch()
    assert len(temporaries_of(tmp_path / "out")) == 3
    _run(batch)
    assert temporaries_of(tmp_path / "out") == [tmp_path / "out" / ".mine.tmp"]


def test_results_are_written_by_one_at_a_time(table: Path, tmp_path: Path) -> None:
    batch, ended = batch_of(table, tmp_path / "out"), threading.Event()
    _run(batch)

    def run() -> None:
        _run(batch)
        ended.set()

    with turn(tmp_path / "out"):
        other = threading.Thread(target=run)
        other.start()
        assert not ended.wait(0.2)
    other.join(30)
    assert ended.is_set()
