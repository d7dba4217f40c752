"""What stands for an inpainter before the painter of a batch on a server."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.serve.pictures import hole, photo
from tests.serve.serving import until

from retouch.errors import EngineClosed, InvalidField
from retouch.imaging.picture import Picture
from retouch.inpainter import Inpainter
from retouch.models.load import load_model
from retouch.request import DEFAULT_LIMITS, InpaintRequest
from retouch.serve.batches.guest import Guest
from retouch.serve.fleet import Fleet
from retouch.serve.settings import ServeSettings


class House:
    """A server as a guest sees it, whose weights are others after each reload where `changes`."""

    def __init__(self, checkpoint: Path) -> None:
        self.changes = False
        self._bundle = load_model(checkpoint)
        self.fleet = Fleet(self._load)
        self.limits = DEFAULT_LIMITS
        self.settings = ServeSettings()
        self.checked: list[InpaintRequest] = []

    def check(self, request: InpaintRequest) -> None:
        self.checked.append(request)
        if request.prompt == "refused":
            raise InvalidField("prompt", "is not allowed here")

    def _load(self) -> list[Inpainter]:
        content_hash = "other" if self.changes else self._bundle.content_hash
        return [Inpainter(replace(self._bundle, content_hash=content_hash), checkers=[])]


@pytest.fixture
def house(checkpoint: Path) -> Iterator[Any]:
    house = House(checkpoint)
    yield house
    house.fleet.close(drain=False)


def row(**fields: Any) -> InpaintRequest:
    image = Picture(photo(), exif=b"MM\0*\0\0\0\x08\0\0\0\0\0\0")
    mask = Picture(hole().astype("uint8") * 255)
    return InpaintRequest("a cat", image, mask, num_inference_steps=1, safety="off", **fields)


def test_a_seat_is_left_when_the_engine_has_nothing_more_of_a_row(house: Any) -> None:
    rows = house.fleet._crew.rows
    job = Guest(house).submit(row(num_images_per_prompt=2))
    assert rows == [2]
    job.wait()
    until(lambda: rows == [0])


def test_a_row_that_is_refused_leaves_its_seat(house: Any) -> None:
    guest = Guest(house)
    with pytest.raises(InvalidField):
        guest.submit(replace(row(), prompt="refused"))
    with pytest.raises(InvalidField):
        guest.submit(row(scheduler="Nobody"))
    assert house.fleet._crew.rows == [0]


def test_the_same_weights_loaded_again_go_on_and_others_end_the_run(house: Any) -> None:
    guest = Guest(house)
    house.fleet.reload()
    guest.submit(row()).wait()
    assert not guest.has_changed
    house.changes = True
    house.fleet.reload()
    with pytest.raises(EngineClosed):
        guest.submit(row())
    assert guest.has_changed


@pytest.mark.parametrize("is_kept", [False, True])
def test_exif_is_taken_out_unless_the_deployer_keeps_it(house: Any, is_kept: bool) -> None:
    house.settings = ServeSettings(keep_metadata=is_kept)
    result = Guest(house).submit(row()).result()
    assert (result.fills[0].picture.exif is not None) == is_kept
