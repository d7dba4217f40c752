"""JSONL, plain and hostile."""

from pathlib import Path

import pytest

from retouch.batch.places import Place
from retouch.batch.readers.jsonl_table import JsonlTable
from retouch.batch.readers.raw import Raw
from retouch.errors import BadInput
from retouch.imaging.limits import DecodeLimits


def _rows(tmp_path: Path, content: str | bytes, **limits: int) -> list[Raw]:
    path = tmp_path / "in.jsonl"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return list(JsonlTable(Place.of(str(path)), DecodeLimits(**limits)).rows())


def test_objects_keep_the_types_of_their_values(tmp_path: Path) -> None:
    rows = _rows(tmp_path, '{"seed": 7, "strength": 0.5, "reference": true, "prompt": "é"}\n\n{"seed": null}')
    assert [dict(row.cells) for row in rows] == [
        {"seed": 7, "strength": 0.5, "reference": True, "prompt": "é"},
        {"seed": None},
    ]


@pytest.mark.parametrize(
    "line",
    [
        "[1]",
        "{",
        "7",
        "[" * 100_000,
        '{"a": ' * 50_000,
        '{"seed": ' + "9" * 10_000 + "}",
        '{"seed": Infinity}',
        '{"seed": 1, "seed": 2}',
        '{"prompt": {"a": 1}}',
        '{"prompt": [1]}',
        "{" + ",".join(f'"{k}": 1' for k in range(2000)) + "}",
    ],
)
def test_a_bad_line_is_one_bad_row(tmp_path: Path, line: str) -> None:
    rows = _rows(tmp_path, f'{{"seed": 1}}\n{line}\n{{"seed": 2}}\n')
    assert [row.error is None for row in rows] == [True, False, True]


def test_bytes_that_are_not_utf8_are_one_bad_row(tmp_path: Path) -> None:
    assert [row.error is None for row in _rows(tmp_path, b'{"a": "\xff"}\n{"seed": 1}\n')] == [False, True]


def test_what_pandas_writes_for_a_missing_number_is_none(tmp_path: Path) -> None:
    assert _rows(tmp_path, '{"seed": NaN}')[0].cells == {"seed": None}


def test_a_line_beyond_the_limit_is_one_bad_row(tmp_path: Path) -> None:
    rows = _rows(tmp_path, '{"prompt": "' + "a" * 3 * 2**20 + '"}\n{"seed": 1}\n', image_bytes=1000)
    assert [row.error is None for row in rows] == [False, True]


def test_a_table_of_empty_lines_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="empty lines"):
        _rows(tmp_path, '{"seed": 1}\n' + " \n" * 100_002)
