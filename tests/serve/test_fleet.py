"""Engines of a server: what shows that one is ready."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from retouch.engine.scheduler import Stage
from retouch.errors import NonFinite
from retouch.inpainter import Inpainter
from retouch.models.bundle import Recommended
from retouch.models.components import Notes, write_notes
from retouch.request import InpaintRequest
from retouch.safety.checkers import ViewChecker
from retouch.safety.screen import ScreenResult
from retouch.serve.fleet import Fleet, warm_up


class Here(ViewChecker):
    """A checker of this machine that counts what it saw."""

    name, version = "here", "1"
    threshold, near = 0.5, 0.4

    def __init__(self) -> None:
        self.seen = 0

    def scores(self, views: Sequence[Any]) -> Sequence[float]:
        self.seen += len(views)
        return [0.0] * len(views)


class Away(Here):
    """A service that is not there."""

    name = "away"
    is_local = False

    def scores(self, views: Sequence[Any]) -> Sequence[float]:
        raise ConnectionError("away")

    def screen(self, request: InpaintRequest) -> ScreenResult:
        raise ConnectionError("away")


def test_a_service_that_is_away_keeps_no_server_from_starting(checkpoint: Path) -> None:
    here, away = Here(), Away()
    with Inpainter.load(checkpoint, checkers=[here, away], screens=[away], screen_input=True) as inpainter:
        warm_up(inpainter)
    assert here.seen > 0  # what is loaded late is there when the first client comes


def test_weights_that_give_no_numbers_are_found_before_anybody_is_served(checkpoint: Path) -> None:
    with Inpainter.load(checkpoint, checkers=[Here()]) as inpainter:
        next(inpainter.bundle.unet.parameters()).data.fill_(float("nan"))
        with pytest.raises(NonFinite):
            warm_up(inpainter)


def test_a_model_that_advises_to_remove_without_it_is_tried_all_the_same(checkpoint: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(checkpoint, tmp_path / "removing")
    write_notes(folder, Notes(Recommended(removal="patchmatch")))
    with Inpainter.load(folder, checkers=[Here()]) as inpainter:
        warm_up(inpainter)
        assert inpainter.stats().calls[Stage.STEP] == 1


def test_the_name_of_the_model_stays_when_its_files_have_gone(checkpoint: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(checkpoint, tmp_path / "apples")
    fleet = Fleet(lambda: [Inpainter.load(folder, checkers=[Here()])])
    folder.rename(tmp_path / "old")
    assert fleet.model_name == "apples"
    fleet.close(drain=False)
