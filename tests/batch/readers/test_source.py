"""Which kind of input something is."""

import tarfile
from io import BytesIO
from pathlib import Path

import fsspec
import pytest
from tests.batch.builders import inline_row, mask_png, picture_png, write_csv, write_jsonl

from retouch.batch.readers.source import open_source
from retouch.batch.rows import Columns
from retouch.errors import BadInput


def _shard(path: Path, **files: bytes) -> Path:
    with tarfile.open(path, "w") as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name.replace("__", "."))
            member.size = len(data)
            tar.addfile(member, BytesIO(data))
    return path


def test_a_folder_of_tables_is_read_in_the_order_of_names_with_rows_counted_per_file(tmp_path: Path) -> None:
    write_csv(tmp_path / "in" / "2batch_input.csv", [inline_row(2), inline_row(3)], index=True)
    write_csv(tmp_path / "in" / "0batch_input.csv", [inline_row(0), inline_row(1)], index=True)
    (tmp_path / "in" / "notes.xlsx").write_bytes(b"")
    source = open_source(str(tmp_path / "in"))
    rows = [(row.number, row.source, row.index) for row in source.rows()]
    assert rows == [
        (0, "0batch_input.csv", 0),
        (1, "0batch_input.csv", 1),
        (2, "2batch_input.csv", 0),
        (3, "2batch_input.csv", 1),
    ]
    assert source.left_out == ("notes.xlsx",)


def test_pictures_beside_tables_are_what_the_tables_name(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "in.jsonl", [{"image": "a.png"}])
    (tmp_path / "a.png").write_bytes(picture_png())
    assert [row.source for row in open_source(str(tmp_path)).rows()] == ["in.jsonl"]


def test_shards_are_rows_by_their_stems(tmp_path: Path) -> None:
    files = {"a__png": picture_png(), "a__mask.png": mask_png(), "a__txt": b"a cat", "a__json": b'{"seed": 3}'}
    files |= {"b__jpg": b"x", "b__json": b"[", "../c__png": b"y"}
    _shard(tmp_path / "000.tar", **files)
    rows = list(open_source(str(tmp_path)).rows())
    assert rows[0].cells == {
        "id": "a",
        "seed": 3,
        "prompt": "a cat",
        "image": picture_png(),
        "mask_image": mask_png(),
    }
    assert [row.error is None for row in rows] == [True, False]


def test_a_damaged_shard_gives_what_it_has_and_then_a_bad_row(tmp_path: Path) -> None:
    path = _shard(tmp_path / "000.tar", a__png=picture_png(), b__png=bytes(5000))
    path.write_bytes(path.read_bytes()[:7000])
    rows = list(open_source(str(path)).rows())
    assert rows[0].error is None
    assert "cannot be read on" in str(rows[-1].error)


def test_an_address_is_read_as_a_path_is(tmp_path: Path) -> None:
    table = write_csv(tmp_path / "in.csv", [inline_row(0)])
    with fsspec.open("memory://tables/in.csv", "wb") as file:
        file.write(table.read_bytes())
    here, there = open_source(str(table)), open_source("memory://tables/in.csv")
    assert [row.cells for row in here.rows()] == [row.cells for row in there.rows()]
    assert here.fingerprint() == there.fingerprint()


@pytest.mark.parametrize("name", ["in.txt", "missing.csv"])
def test_what_is_no_input_is_told(tmp_path: Path, name: str) -> None:
    (tmp_path / "in.txt").write_text("x")
    with pytest.raises(BadInput, match=name):
        open_source(str(tmp_path / name))


def test_an_empty_folder_and_a_mixed_one_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no tables"):
        open_source(str(tmp_path))
    _shard(tmp_path / "0.tar")
    write_jsonl(tmp_path / "in.jsonl", [{}])
    with pytest.raises(BadInput, match="tables and shards"):
        open_source(str(tmp_path))


def test_a_column_that_nobody_knows_is_named_with_its_file(tmp_path: Path) -> None:
    table = write_csv(tmp_path / "in.csv", [inline_row(0, steps=3)])
    with pytest.raises(BadInput, match="'steps'") as caught:
        open_source(str(table)).check(Columns())
    assert "num_inference_steps" in caught.value.hint
    assert caught.value.__notes__ == ["in.csv"]


def test_shards_of_one_name_in_several_folders_are_told_apart(tmp_path: Path) -> None:
    for number in range(2):
        (tmp_path / f"d{number:02d}").mkdir()
        _shard(tmp_path / f"d{number:02d}" / "data.tar", a__txt=b"x" * (number + 1))
    source = open_source(str(tmp_path / "d{00..01}" / "data.tar"))
    before = source.fingerprint()
    assert before["data.tar"]["edges_sha256"] == source.parts[1].fingerprint()["edges_sha256"]
    _shard(tmp_path / "d00" / "data.tar", a__txt=b"another")
    assert source.fingerprint() != before
