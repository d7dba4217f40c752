"""What a run is measured on, and never trained on."""

import logging
from pathlib import Path

import pytest
import torch
from PIL import Image
from tests.factories import make_checkpoint
from tests.train.photographs import data_of, phase_of, write_photographs

from retouch.models.components import Components
from retouch.train.config import ModelConfig, TrainConfig
from retouch.train.held_out import HeldOut
from retouch.train.loop import Trainer
from retouch.train.run import RunOptions, start
from retouch.train.sources import Sources
from retouch.train.split import split_folder


def begin(folder: Path, tmp_path: Path, **pictures: object) -> tuple[Trainer, Components]:
    base = make_checkpoint(tmp_path / "base")
    phase = phase_of(folder, **pictures)
    config = TrainConfig(name="x", model=ModelConfig(pretrained=str(base)), phases=(phase,))
    return start(RunOptions(config, tmp_path / "run", cpu=True))


def test_the_loss_is_that_of_the_held_out_pictures_alone_and_repeats(tmp_path: Path) -> None:
    folder = write_photographs(tmp_path / "photographs", 5)
    trainer, parts = begin(folder, tmp_path, held_out=["03.jpg"])
    found = HeldOut(parts, torch.device("cpu")).losses(trainer)
    assert found["val_loss"] > 0
    for number in (0, 1, 2, 4):
        (folder / f"{number:02d}.jpg").unlink()
        (folder / f"{number:02d}.txt").unlink()
    write_photographs(folder / "more", 2, caption="others")
    assert HeldOut(parts, torch.device("cpu")).losses(trainer) == found


def test_where_nothing_is_held_out_the_log_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = write_photographs(tmp_path / "photographs", 2)
    trainer, parts = begin(folder, tmp_path)
    held_out = HeldOut(parts, torch.device("cpu"))
    with caplog.at_level(logging.WARNING):
        assert held_out.losses(trainer) == {}
        assert held_out.losses(trainer) == {}
    assert caplog.text.count("held out") == 1
    assert held_out.pictures(trainer.phase) == []


def test_held_out_pictures_that_cannot_be_used_end_no_run(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = write_photographs(tmp_path / "photographs", 3)
    Image.new("L", (80, 80), 0).save(folder / "00.mask.png")
    trainer, parts = begin(folder, tmp_path, held_out=["00.jpg"])
    held_out = HeldOut(parts, torch.device("cpu"))
    with caplog.at_level(logging.WARNING):
        assert held_out.losses(trainer) == {}
        assert held_out.pictures(trainer.phase) == []
    assert "00.jpg" in caplog.text


def test_other_data_than_folders_holds_out_no_pictures(tmp_path: Path) -> None:
    folder = write_photographs(tmp_path / "photographs", 5)
    trainer, parts = begin(folder, tmp_path)
    data = data_of(folder).model_copy(update={"kind": "shards"})
    phase = trainer.phase.model_copy(update={"data": data})
    assert HeldOut(parts, torch.device("cpu")).pictures(phase) == []


def test_pictures_that_come_while_a_run_is_at_work_are_neither_trained_on_nor_measured(tmp_path: Path) -> None:
    folder = write_photographs(tmp_path / "photographs", 5)
    trainer, parts = begin(folder, tmp_path, held_out=0.5)
    with Sources(trainer.config, parts, trainer.accelerator) as sources:
        sources.open(trainer)
        expected = HeldOut(parts, torch.device("cpu")).losses(trainer)
        write_photographs(folder / "more", 20)
        assert split_folder(trainer.phase.data) != sources.split(trainer.phase.data)
        assert HeldOut(parts, torch.device("cpu"), split=sources.split).losses(trainer) == expected
