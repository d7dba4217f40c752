"""Every form of a table is read into the same rows; a row that cannot be read is an error in its place."""

import json
from typing import Any

import pytest

from retouch.errors import InvalidField, MalformedBody
from retouch.serve.dialects.tables import read_columns, read_csv, read_records, read_split

CELLS = {"prompt": "P", "image": "I", "mask_image": "M"}
COLUMNS = [*CELLS]


def read(table: dict[str, Any], most: int = 8) -> list[Any]:
    return read_split(table, name="input_data", most=most)


@pytest.mark.parametrize(
    "table",
    [
        {"columns": COLUMNS, "data": [["P", "I", "M"]]},
        {"columns": COLUMNS, "data": [["P", "I", "M"]], "index": [0]},
        {"columns": COLUMNS, "data": [["P", "I", "M"]], "index": []},
        {"columns": COLUMNS, "data": [CELLS]},
        {"data": [CELLS]},
        {"columns": ["prompt", "image", "mask"], "data": [["P", "I", "M"]]},
        {"columns": ["prompt", "image", "mask"], "data": [CELLS]},
        {"columns": ["mask", "image", "prompt"], "data": [["M", "I", "P"]]},
        {"columns": [*COLUMNS, "negative_prompt"], "data": [["P", "I", "M", None]]},
        {"columns": ["mask", *COLUMNS], "data": [[None, "P", "I", "M"]]},
    ],
)
def test_a_row_is_the_same_as_a_list_as_an_object_and_by_every_name(table: dict[str, Any]) -> None:
    assert read(table) == [CELLS]


def test_the_card_s_columns_say_mask_and_its_rows_mask_image() -> None:
    table = json.loads("""{
        "columns": ["prompt", "image", "mask"],
        "data": [{"prompt": "a", "image": "image1", "mask_image": "mask1"},
                 {"prompt": "b", "image": "image2", "mask_image": "mask2"}],
        "index": [0, 1]
    }""")
    assert read(table) == [
        {"prompt": "a", "image": "image1", "mask_image": "mask1"},
        {"prompt": "b", "image": "image2", "mask_image": "mask2"},
    ]


def test_one_column_may_be_a_flat_list() -> None:
    assert read({"columns": ["prompt"], "data": ["a", "b"]}) == [{"prompt": "a"}, {"prompt": "b"}]
    assert read({"columns": ["prompt"], "data": [["a"], ["b"]]}) == [{"prompt": "a"}, {"prompt": "b"}]


@pytest.mark.parametrize("row", ["P", None, 7, ["P", "I"], ["P", "I", "M", "N"], {"mask": "M", "mask_image": "N"}])
def test_a_row_that_cannot_be_read_is_an_error_between_the_others(row: Any) -> None:
    first, broken, last = read({"columns": COLUMNS, "data": [CELLS, row, CELLS]})
    assert (first, last) == (CELLS, CELLS)
    assert isinstance(broken, InvalidField)


@pytest.mark.parametrize(
    ("table", "names"),
    [
        ({}, "data"),
        ({"data": "rows"}, "data"),
        ({"data": {"prompt": ["P"]}}, "data"),
        ({"data": []}, "no rows"),
        ({"data": [CELLS] * 9}, "more rows than 8"),
        ({"data": [CELLS], "columns": "prompt"}, "columns"),
        ({"data": [CELLS], "columns": ["prompt", 7]}, "columns"),
        ({"data": [CELLS], "columns": ["prompt", "prompt"]}, "twice"),
        ({"data": [CELLS], "index": [0, 1]}, "index"),
        ({"data": [CELLS], "index": "first"}, "index"),
    ],
)
def test_what_is_no_table_is_refused_whole(table: dict[str, Any], names: str) -> None:
    with pytest.raises(InvalidField, match=names):
        read(table)


def test_records_are_objects_in_a_list() -> None:
    assert read_records([CELLS], name="instances", most=8) == [CELLS]
    [nameless] = read_records([["P", "I", "M"]], name="instances", most=8)
    assert isinstance(nameless, InvalidField)
    with pytest.raises(InvalidField, match="list of rows"):
        read_records(CELLS, name="instances", most=8)


def test_columns_are_lists_of_one_length_or_single_cells() -> None:
    def by_column(table: dict[str, Any]) -> list[Any]:
        return read_columns(table, name="inputs", most=8)

    assert by_column({"prompt": ["a", "b"], "mask": ["M", "N"]}) == [
        {"prompt": "a", "mask_image": "M"},
        {"prompt": "b", "mask_image": "N"},
    ]
    assert by_column({"prompt": "a"}) == [{"prompt": "a"}]
    for table, names in (({"a": ["1"], "b": []}, "lengths"), ({}, "no rows"), ({"a": [1] * 9}, "more rows")):
        with pytest.raises(InvalidField, match=names):
            by_column(table)


def test_csv_cells_may_hold_line_breaks_and_pandas_index_has_no_name() -> None:
    text = '\ufeff,prompt,image,mask\r\n0,"a, ""b""","iVBOR\nw0KG\n",M\r\n\r\n1,,I,M\r\n'
    assert read_csv(text, most=8) == [
        {"": "0", "prompt": 'a, "b"', "image": "iVBOR\nw0KG\n", "mask_image": "M"},
        {"": "1", "image": "I", "mask_image": "M"},
    ]


def test_a_csv_cell_may_be_as_large_as_a_picture() -> None:
    assert read_csv(f"prompt,image\nP,{'A' * 200_000}", most=8) == [{"prompt": "P", "image": "A" * 200_000}]


def test_a_csv_row_of_another_length_is_an_error_in_its_place() -> None:
    short, whole = read_csv("prompt,image\na\nb,I", most=8)
    assert isinstance(short, InvalidField)
    assert whole == {"prompt": "b", "image": "I"}


@pytest.mark.parametrize("text", ["", "prompt\n", "prompt\n\n\n", "prompt\n" + "a\n" * 9])
def test_csv_without_rows_or_with_too_many_is_refused(text: str) -> None:
    with pytest.raises(InvalidField, match="rows"):
        read_csv(text, most=8)


def test_an_open_quote_is_no_csv() -> None:
    with pytest.raises(MalformedBody, match="not CSV"):
        read_csv('prompt\n"a', most=8)
