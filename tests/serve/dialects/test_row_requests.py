"""A row's cells and the parameters beside it become a request, or an error that names what is wrong."""

from typing import Any

import numpy as np
import pytest
from tests.serve.pictures import hole, photo, png

from retouch.errors import ImageError, InvalidField
from retouch.imaging.picture import Picture
from retouch.request import DEFAULT_LIMITS, InpaintRequest, Limits
from retouch.serve.dialects.row_requests import Asked, RowReader, merged, with_pictures

CELLS = {"prompt": "a red hat", "image": "I", "mask_image": "M"}


def reader(rows: int = 1, limits: Limits = DEFAULT_LIMITS, **parameters: Any) -> RowReader:
    return RowReader(parameters, rows, "blur", limits)


def asked(cells: dict[str, Any], /, **parameters: Any) -> InpaintRequest:
    return reader(**parameters).read(cells, 0).request


def test_a_row_alone_leaves_everything_to_the_defaults() -> None:
    read = reader().read(CELLS, 0)
    assert read.pictures == {"image": "I", "mask_image": "M"}
    assert read.request.mask_polarity == "white"
    assert read.request.seed is None
    assert read.request.num_inference_steps is None


def test_the_deployer_s_policy_holds_where_none_is_asked_for() -> None:
    assert asked(CELLS).safety == "blur"
    assert asked(CELLS, safety="error").safety == "error"


def test_parameters_are_fields_of_the_request() -> None:
    request = asked(
        CELLS, num_inference_steps=5, guidance_scale=3, strength=0.5, negative_prompt="blurry", scheduler="DDIM"
    )
    assert (request.num_inference_steps, request.guidance_scale, request.strength) == (5, 3, 0.5)
    assert (request.negative_prompt, request.scheduler) == ("blurry", "DDIM")


@pytest.mark.parametrize(("value", "seed"), [(7, 7), ("7", 7), (" 7 ", 7), (7.0, 7), ("4294967295", 2**32 - 1)])
def test_a_seed_may_be_digits(value: Any, seed: int) -> None:
    assert asked(CELLS, seed=value).seed == seed


def test_numbers_may_be_texts() -> None:
    assert asked(CELLS, guidance_scale="7.5", num_inference_steps="20").guidance_scale == 7.5


def test_null_is_not_given() -> None:
    assert asked(CELLS, seed=None, strength=None, negative_prompt=None) is not None
    assert asked(CELLS | {"seed": 7}, seed=None).seed == 7


def test_a_column_gives_each_row_its_own_and_parameters_come_before_it() -> None:
    row = CELLS | {"seed": 3, "negative_prompt": "mine"}
    assert asked(row).seed == 3
    assert asked(row, negative_prompt="ours").negative_prompt == "ours"


def test_a_list_of_parameters_gives_each_row_its_own() -> None:
    several = reader(rows=2, seed=[5, 6], negative_prompt=["blurry"])
    assert [several.read(CELLS, at).request.seed for at in (0, 1)] == [5, 6]
    assert [several.read(CELLS, at).request.negative_prompt for at in (0, 1)] == ["blurry", "blurry"]
    with pytest.raises(InvalidField, match="seed"):
        reader(rows=3, seed=[5, 6]).read(CELLS, 0)
    with pytest.raises(InvalidField, match="seed"):
        reader(seed=[]).read(CELLS, 0)


def test_columns_that_mean_nothing_are_left_out() -> None:
    assert asked(CELLS | {"Unnamed: 0": 0, "file_name": "a.png", "": 7}).prompt == "a red hat"


@pytest.mark.parametrize("name", ["prompt", "image", "mask_image"])
def test_a_missing_cell_is_named(name: str) -> None:
    with pytest.raises(InvalidField, match=f"{name}: is missing") as missing:
        asked({column: cell for column, cell in CELLS.items() if column != name})
    assert missing.value.field == name
    assert all(column in missing.value.hint for column in CELLS)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("num_inference_steps", 0),
        ("num_inference_steps", 151),
        ("num_inference_steps", 2.5),
        ("num_inference_steps", "many"),
        ("num_inference_steps", True),
        ("guidance_scale", -1),
        ("guidance_scale", "much"),
        ("strength", -0.5),
        ("strength", 1.5),
        ("seed", -1),
        ("seed", "-1"),
        ("seed", 2**32),
        ("seed", "4294967296"),
        ("seed", {"value": 7}),
        ("seed", [[7]]),
        ("seed", "9" * 30),
        ("num_images_per_prompt", 0),
        ("negative_prompt", 7),
        ("negative_prompt", "x" * 2_001),
        ("scheduler", "x" * 1_000_000),
        ("safety", "maybe"),
        ("deadline_s", "soon"),
        ("reference", "yes"),
    ],
)
def test_a_parameter_out_of_range_is_named_and_not_repeated_at_length(name: str, value: Any) -> None:
    with pytest.raises(InvalidField, match=name) as refused:
        asked(CELLS, **{name: value})
    assert len(str(refused.value)) < 2_200


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("steps", "num_inference_steps"),
        ("generator", "seed"),
        ("eta", "not offered"),
        ("num_inference_step", "num_inference_steps"),
        ("prompt", "column"),
        ("image", "column"),
        ("self", "known"),
        ("x" * 1_000_000, "known"),
    ],
)
def test_an_unknown_parameter_is_refused_with_what_is_meant(name: str, hint: str) -> None:
    with pytest.raises(InvalidField) as refused:
        reader(**{name: 1}) if name != "self" else RowReader({"self": 1}, 1, "black", DEFAULT_LIMITS)
    assert hint in refused.value.hint
    assert len(str(refused.value)) < 200


@pytest.mark.parametrize(
    ("name", "cell"), [("prompt", 7), ("prompt", "x" * 2_001), ("image", 7), ("mask_image", {})]
)
def test_a_cell_of_another_kind_is_named(name: str, cell: Any) -> None:
    with pytest.raises(InvalidField, match=name):
        asked(CELLS | {name: cell})


def test_parameters_in_two_places_may_not_contradict_each_other() -> None:
    assert merged({"seed": 7}, {"seed": 7, "strength": 0.5}) == {"seed": 7, "strength": 0.5}
    with pytest.raises(InvalidField, match="seed"):
        merged({"seed": 7}, {"seed": 8})


def test_how_many_pictures_a_row_asks_for() -> None:
    assert reader().count(CELLS, 0) == 1
    assert reader(num_images_per_prompt=3).count({}, 0) == 3
    assert reader().count({"num_images_per_prompt": "2"}, 0) == 2
    for wrong in (0, 99, "many", True, [[1]], [1, 2, 3]):
        assert reader(num_images_per_prompt=wrong).count(CELLS, 0) == 1


def sized(**size: Any) -> Asked:
    return reader(**size).read(CELLS, 0)


def test_the_picture_s_own_size_may_be_asked_for() -> None:
    pictures = {"image": png(photo(40, 32)), "mask_image": png(hole(40, 32))}
    request = with_pictures(sized(width=40, height="32"), pictures, DEFAULT_LIMITS)
    assert isinstance(request.image, Picture)
    assert np.array_equal(request.image.pixels, photo(40, 32))
    assert with_pictures(sized(), pictures, DEFAULT_LIMITS).image is pictures["image"]


@pytest.mark.parametrize("size", [{"width": 512}, {"height": 40}, {"height": "tall"}, {"width": -1}])
def test_another_size_is_refused_because_an_answer_has_its_picture_s(size: dict[str, Any]) -> None:
    pictures = {"image": png(photo(40, 32)), "mask_image": png(hole(40, 32))}
    with pytest.raises(InvalidField, match=next(iter(size))) as refused:
        with_pictures(sized(**size), pictures, DEFAULT_LIMITS)
    assert "scale the picture" in refused.value.hint
    with pytest.raises(ImageError):
        with_pictures(sized(width=40), pictures | {"image": b"no picture"}, DEFAULT_LIMITS)
