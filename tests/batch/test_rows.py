"""Cells become fields of a request."""

import json
from dataclasses import fields
from hashlib import sha256
from typing import Any

import pytest

from retouch.batch.rows import PICTURES, Asked, Columns, Row, field_kinds, seed_of
from retouch.errors import BadInput
from retouch.request import InpaintRequest


def _asked(**cells: Any) -> Asked:
    return Columns().read(Row(0, "in.csv", 0, cells))


def test_every_field_of_a_request_is_a_column() -> None:
    assert {*field_kinds(), *PICTURES} == {one.name for one in fields(InpaintRequest)}


def test_texts_of_a_csv_file_get_the_types_of_the_fields() -> None:
    asked = _asked(prompt="7", seed="7.0", guidance_scale="5", strength=" 0.5", reference="True", fill_holes="0")
    assert asked.fields == {
        "prompt": "7",
        "seed": 7,
        "guidance_scale": 5.0,
        "strength": 0.5,
        "reference": True,
        "fill_holes": False,
    }


@pytest.mark.parametrize("empty", ["", None, float("nan")])
def test_an_empty_cell_leaves_its_field_at_the_default(empty: Any) -> None:
    assert _asked(seed=empty, region=empty, image=empty if empty != empty else None).fields == {}


def test_an_empty_prompt_is_a_prompt() -> None:
    assert _asked(prompt="").fields == {"prompt": ""}


@pytest.mark.parametrize(
    ("name", "cell"),
    [
        ("seed", "seven"),
        ("seed", 7.5),
        ("seed", "9" * 100),
        ("seed", True),
        ("seed", "1e400"),
        ("strength", "half"),
        ("strength", True),
        ("reference", "perhaps"),
        ("prompt", 7),
        ("prompt", "a\0b"),
        ("image", 7),
        ("id", "x" * 501),
        ("id", b"x"),
    ],
)
def test_a_value_of_another_type_is_an_error_that_names_its_column(name: str, cell: Any) -> None:
    with pytest.raises(BadInput, match=name):
        _asked(**{name: cell})


def test_mask_is_short_for_mask_image_and_both_are_too_many() -> None:
    assert _asked(mask="m.png").pictures == {"mask_image": "m.png"}
    with pytest.raises(BadInput, match="twice"):
        _asked(mask="m.png", mask_image="n.png")
    with pytest.raises(BadInput, match="twice"):
        Columns().check(("mask", "mask_image"))


@pytest.mark.parametrize("name", ["", "Unnamed: 0", "__index_level_0__"])
def test_an_index_that_pandas_wrote_is_passed_over(name: str) -> None:
    Columns().check((name, "prompt"))
    assert _asked(**{name: "0", "prompt": "a cat"}).fields == {"prompt": "a cat"}


def test_a_name_from_elsewhere_is_answered_with_what_it_is_called_here() -> None:
    with pytest.raises(BadInput, match="'cfg_scale'") as caught:
        Columns().check(("prompt", "cfg_scale"))
    assert "guidance_scale" in caught.value.hint


def test_extra_columns_are_kept_where_that_is_wanted() -> None:
    row = Row(0, "in.csv", 0, {"author": "Ada", "score": float("inf"), "prompt": "a cat"})
    assert Columns(keep_extra=True).read(row).extra == {"author": "Ada", "score": None}


def test_an_extra_cell_that_is_too_large_is_a_bad_row() -> None:
    with pytest.raises(BadInput, match="too large"):
        Columns(keep_extra=True).read(Row(0, "in.csv", 0, {"author": "x" * 10**6}))


def test_the_seed_is_the_documented_hash_of_run_and_id() -> None:
    wanted = sha256(json.dumps([7, {"id": "x"}], separators=(",", ":")).encode()).digest()[:4]
    assert seed_of(7, _asked(id="x", prompt="a cat"), {}) == int.from_bytes(wanted, "big")


def test_without_an_id_the_seed_follows_from_what_the_row_asks_for() -> None:
    one, same, other = (
        _asked(prompt="a cat", strength="1"),
        _asked(prompt="a cat", strength=1.0),
        _asked(prompt="a"),
    )
    pictures = {"image": "a.png"}
    assert seed_of(1, one, pictures) == seed_of(1, same, pictures)
    assert len({seed_of(1, one, pictures), seed_of(1, other, pictures), seed_of(1, one, {"image": "b.png"})}) == 3
