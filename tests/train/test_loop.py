"""The loop: phases, surgery, exact resume, and processes that add up."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from retouch.train.config import TrainConfig
from retouch.train.run import RunOptions, run_training, start
from retouch.train.storage import load_state

KILL_AFTER_SECOND_SAVE = """
import os, signal, sys
import torch
torch.set_num_threads(1)  # as in the test's own process: the number of threads decides the last bits
from pathlib import Path
from retouch.train.config import load_config
from retouch.train import run

saved = run.RunKeeper.on_save
def save_and_die(self, trainer):
    saved(self, trainer)
    if trainer.position.phase == 1 and trainer.position.step == 2:
        os.kill(os.getpid(), signal.SIGKILL)
run.RunKeeper.on_save = save_and_die
run.run_training(run.RunOptions(config=load_config(Path(sys.argv[1])), run_dir=Path(sys.argv[2]), cpu=True))
"""


def same_weights(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return all(torch.equal(one["model"][name], other["model"][name]) for name in one["model"]) and all(
        torch.equal(one["ema"]["shadows"][name], other["ema"]["shadows"][name]) for name in one["ema"]["shadows"]
    )


def test_run_goes_through_both_phases_and_widens_the_unet_between_them(
    config: TrainConfig, tmp_path: Path
) -> None:
    trainer = run_training(RunOptions(config=config, run_dir=tmp_path, cpu=True))
    assert (trainer.position.phase, trainer.position.step) == (1, 3)
    assert trainer.denoiser.unet.config.in_channels == 9
    assert trainer.denoiser.unet.conv_in.weight[:, 4:].abs().max() > 0


def test_run_stopped_at_any_step_and_resumed_ends_with_the_same_weights(
    config: TrainConfig, tmp_path: Path
) -> None:
    run_training(RunOptions(config=config, run_dir=tmp_path / "whole", cpu=True))
    for _ in range(6):
        run_training(RunOptions(config=config, run_dir=tmp_path / "cut", cpu=True, max_steps=1))
    whole, cut = (load_state(tmp_path / name / "checkpoint.pt") for name in ("whole", "cut"))
    assert same_weights(whole, cut)


@pytest.mark.slow
def test_run_killed_without_warning_and_resumed_ends_with_the_same_weights(
    recipe: dict[str, Any], tmp_path: Path
) -> None:
    recipe["log"]["save_every_steps"] = 2
    file = tmp_path / "recipe.yaml"
    file.write_text(yaml.safe_dump(recipe))
    config = TrainConfig.model_validate(recipe)
    run_training(RunOptions(config=config, run_dir=tmp_path / "whole", cpu=True))
    done = subprocess.run([sys.executable, "-c", KILL_AFTER_SECOND_SAVE, file, tmp_path / "killed"], check=False)
    assert done.returncode == -signal.SIGKILL
    assert load_state(tmp_path / "killed" / "checkpoint.pt")["phase"] == 1
    run_training(RunOptions(config=config, run_dir=tmp_path / "killed", cpu=True))
    assert same_weights(*(load_state(tmp_path / name / "checkpoint.pt") for name in ("whole", "killed")))


def test_accumulated_micro_batches_give_the_gradient_of_the_whole_batch(
    recipe: dict[str, Any], tmp_path: Path
) -> None:
    states = []
    for micro in (4, 2):
        for phase in recipe["phases"]:
            phase["micro_batch"] = micro
        config = TrainConfig.model_validate(recipe)
        trainer = run_training(RunOptions(config=config, run_dir=tmp_path / str(micro), cpu=True, max_steps=1))
        states.append(trainer.state()["optimiser"]["state"])
    for key, first in states[0].items():
        torch.testing.assert_close(first["exp_avg"], states[1][key]["exp_avg"], rtol=1e-3, atol=1e-7)


def test_resumed_trainer_restores_the_moments_of_the_optimiser(config: TrainConfig, tmp_path: Path) -> None:
    run_training(RunOptions(config=config, run_dir=tmp_path, cpu=True, max_steps=2))
    saved = load_state(tmp_path / "checkpoint.pt")
    trainer, _ = start(RunOptions(config=config, run_dir=tmp_path, cpu=True))
    restored = trainer.state()["optimiser"]
    assert restored["state"][0]["step"] == saved["optimiser"]["state"][0]["step"] == 2


@pytest.mark.slow
def test_two_processes_learn_what_one_learns_at_the_same_global_batch(
    recipe: dict[str, Any], tmp_path: Path
) -> None:
    for phase in recipe["phases"]:
        phase["micro_batch"] = 2
    file = tmp_path / "recipe.yaml"
    file.write_text(yaml.safe_dump(recipe))
    one = run_training(RunOptions(config=TrainConfig.model_validate(recipe), run_dir=tmp_path / "one", cpu=True))
    launch = [
        sys.executable,
        "-m",
        "accelerate.commands.launch",
        "--cpu",
        "--num_processes",
        "2",
        "--num_machines",
        "1",
    ]
    launch += ["--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", "0"]
    command = [*launch, "-m", "retouch.cli.train", "run", file, "--run-dir", tmp_path / "two", "--cpu"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    two = load_state(tmp_path / "two" / "checkpoint.pt")
    for name, weight in one.state()["model"].items():
        torch.testing.assert_close(weight, two["model"][name], rtol=1e-3, atol=1e-4)


def test_widening_before_the_first_phase_changes_no_weight(config: TrainConfig, tmp_path: Path) -> None:
    early = config.model_copy(update={"model": config.model.model_copy(update={"widen_first": True})})
    one, other = (
        run_training(RunOptions(config=chosen, run_dir=tmp_path / name, cpu=True)).state()["model"]
        for name, chosen in (("late", config), ("early", early))
    )
    assert one.keys() == other.keys()
    for name, weight in one.items():
        torch.testing.assert_close(other[name], weight, rtol=1e-3, atol=1e-5)


def test_a_phase_ends_by_the_clock_where_its_steps_take_longer(config: TrainConfig, tmp_path: Path) -> None:
    phases = tuple(
        phase.model_copy(update={"steps": 10_000, "time_limit_s": limit})
        for phase, limit in zip(config.phases, (1e-6, 1e-6), strict=True)
    )
    trainer = run_training(
        RunOptions(config=config.model_copy(update={"phases": phases}), run_dir=tmp_path / "short", cpu=True)
    )
    assert trainer.position.phase == len(phases) - 1
    assert trainer.position.step == 1
