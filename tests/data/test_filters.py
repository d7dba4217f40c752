import math
from pathlib import Path

import pytest

from retouch.data.filters import Selection, filter_parquet, find_columns, reject_reason
from retouch.errors import BadInput

V2 = ("URL", "TEXT", "WIDTH", "HEIGHT", "similarity", "punsafe", "pwatermark", "AESTHETIC_SCORE", "hash")
V1 = ("URL", "TEXT", "WIDTH", "HEIGHT", "similarity", "hash", "punsafe", "pwatermark", "aesthetic")


def row(**changes: object) -> dict[str, object]:
    good = {"WIDTH": 512.0, "HEIGHT": 700.0, "pwatermark": 0.1, "punsafe": 0.9, "AESTHETIC_SCORE": 5.5}
    return {**good, **changes}


@pytest.mark.parametrize("names", [V1, V2, ("original_width", "original_height", "PWATERMARK", "aesthetic")])
def test_all_dumps_spellings_are_understood(names: tuple[str, ...]):
    assert set(find_columns(names, Selection().needed)) == {"aesthetic", "width", "height", "watermark"}


def test_original_sizes_win_over_resized_ones():
    names = ("width", "height", "original_width", "original_height")
    assert find_columns(names, ("width",)) == {"width": "original_width"}


def test_a_missing_column_is_named():
    with pytest.raises(BadInput, match="watermark"):
        find_columns(("WIDTH", "HEIGHT", "aesthetic"), Selection().needed)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, None),
        ({"AESTHETIC_SCORE": 5.0}, "aesthetic"),
        ({"AESTHETIC_SCORE": 5.0001}, None),
        ({"HEIGHT": 511.9}, "size"),
        ({"WIDTH": 512}, None),
        ({"pwatermark": 0.5}, "watermark"),
        ({"pwatermark": None}, "watermark"),
        ({"AESTHETIC_SCORE": math.nan}, "aesthetic"),
        ({"WIDTH": "640"}, None),
        ({"WIDTH": "wide"}, "size"),
    ],
)
def test_the_rules_have_the_cards_borders(changes: dict[str, object], reason: str | None):
    assert reject_reason(row(**changes), find_columns(V2, Selection().needed), Selection()) == reason


def test_the_unsafe_rule_is_optional():
    strict = Selection(below_unsafe=0.5)
    assert reject_reason(row(), find_columns(V2, strict.needed), strict) == "unsafe"


def test_rules_that_are_off_need_no_column():
    assert find_columns(("aesthetic",), Selection(min_side_px=None, below_watermark=None).needed) == {
        "aesthetic": "aesthetic"
    }


def test_a_parquet_file_keeps_its_schema_and_the_good_rows(tmp_path: Path):
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    rows = [row(URL=str(n), AESTHETIC_SCORE=4.0 + n * 0.5) for n in range(6)] + [row(URL="x", WIDTH=None)]
    parquet.write_table(pa.Table.from_pylist(rows), tmp_path / "in.parquet")
    outcome = filter_parquet(tmp_path / "in.parquet", tmp_path / "out.parquet")
    kept = parquet.read_table(tmp_path / "out.parquet")
    assert kept.column("URL").to_pylist() == ["3", "4", "5"]
    assert kept.schema == parquet.read_schema(tmp_path / "in.parquet")
    assert outcome.kept == 3
    assert outcome.dropped == {"aesthetic": 3, "size": 1}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.parquet", "out.parquet"]


def test_a_file_that_is_no_parquet_is_bad_input(tmp_path: Path):
    pytest.importorskip("pyarrow")
    (tmp_path / "in.parquet").write_bytes(b"hello")
    with pytest.raises(BadInput):
        filter_parquet(tmp_path / "in.parquet", tmp_path / "out.parquet")
