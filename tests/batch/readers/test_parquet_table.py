"""Parquet, plain and hostile."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.batch.builders import picture_png
from tests.memory import grows_less_than, needs_proc

from retouch.batch.places import Place
from retouch.batch.readers.parquet_table import ParquetTable
from retouch.errors import BadInput
from retouch.imaging.limits import DecodeLimits


def _write(path: Path, columns: dict[str, Any], **options: Any) -> ParquetTable:
    pq.write_table(pa.table(columns), path, **options)
    return ParquetTable(Place.of(str(path)))


def test_bytes_texts_and_numbers_are_read_as_they_are(tmp_path: Path) -> None:
    columns = {"image": [picture_png(0), picture_png(1)], "prompt": ["a cat", None], "seed": [1, None]}
    table = _write(tmp_path / "in.parquet", columns)
    assert table.columns() == ("image", "prompt", "seed")
    assert [dict(row.cells) for row in table.rows()] == [
        {"image": picture_png(0), "prompt": "a cat", "seed": 1},
        {"image": picture_png(1), "prompt": None, "seed": None},
    ]


def test_the_pictures_of_a_hugging_face_data_set_are_read(tmp_path: Path) -> None:
    struct = [{"bytes": picture_png(0), "path": "a.png"}, {"bytes": None, "path": "b.png"}]
    rows = list(_write(tmp_path / "in.parquet", {"image": struct}).rows())
    assert [row.cells["image"] for row in rows] == [picture_png(0), "b.png"]


def test_values_of_other_kinds_are_bad_rows(tmp_path: Path) -> None:
    rows = list(_write(tmp_path / "in.parquet", {"prompt": [["a"], None]}).rows())
    assert [row.error is None for row in rows] == [False, True]


@needs_proc
def test_a_dictionary_of_large_cells_is_not_multiplied_by_its_rows(tmp_path: Path) -> None:
    """A kilobyte of file that says a megabyte ten thousand times."""
    large = pa.array([b"x" * 2**20])
    column = pa.DictionaryArray.from_arrays(pa.array(np.zeros(10_000, np.int32)), large)
    table = _write(tmp_path / "in.parquet", {"image": column}, dictionary_pagesize_limit=2**22, store_schema=False)
    with grows_less_than(200):
        assert sum(row.error is None for row in table.rows()) == 10_000


@needs_proc
def test_what_inflates_to_far_more_than_the_file_is_refused_in_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "in.parquet"
    column = pa.array([b"\0" * 2**28])
    table = _write(path, {"image": column}, use_dictionary=False, compression="zstd")
    del column
    with grows_less_than(100), pytest.raises(BadInput, match="inflates to too much"):
        list(table.rows())


def test_a_row_over_the_limit_is_one_bad_row(tmp_path: Path) -> None:
    path = tmp_path / "in.parquet"
    noise = np.random.default_rng(0).bytes(4 * 2**20)
    pq.write_table(pa.table({"image": [noise, b"small"]}), path)
    rows = list(ParquetTable(Place.of(str(path)), DecodeLimits(image_bytes=2**19)).rows())
    assert [row.error is None for row in rows] == [False, True]


@pytest.mark.parametrize("damage", [b"", b"PAR1", b"PAR1" + b"\xff" * 100 + b"\xff\xff\xff\x7fPAR1"])
def test_what_is_no_parquet_is_refused(tmp_path: Path, damage: bytes) -> None:
    path = tmp_path / "in.parquet"
    path.write_bytes(damage)
    with pytest.raises(BadInput, match=r"in\.parquet"):
        ParquetTable(Place.of(str(path))).columns()


def test_flipped_bytes_are_errors_of_ours_or_values(tmp_path: Path) -> None:
    path = tmp_path / "in.parquet"
    _write(path, {"image": [picture_png(k) for k in range(20)], "prompt": ["a"] * 20})
    whole = path.read_bytes()
    flips = np.random.default_rng(0)
    for _ in range(60):
        damaged = bytearray(whole)
        damaged[flips.integers(4, len(whole))] ^= int(flips.integers(1, 256))
        path.write_bytes(bytes(damaged))
        try:
            list(ParquetTable(Place.of(str(path))).rows())
        except BadInput:
            continue
