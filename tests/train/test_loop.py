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
from tests.train.half import HalfOnCpu
from tests.train.photographs import write_photographs
from tests.train.reads import Reads

from retouch.data.compose import SceneComposer
from retouch.data.export import ExportOptions, export_shards
from retouch.train import run
from retouch.train.config import TrainConfig
from retouch.train.latents import LatentCache
from retouch.train.run import RunOptions, run_training, start
from retouch.train.storage import load_state

KILL_AFTER_SECOND_SAVE = """
import os, signal, sys
import torch
torch.set_num_threads(1)  # as in the test's own process: the number of threads decides the last bits
from pathlib import Path
from retouch.train.config import load_config
from retouch.train import run

if sys.argv[3] == "fp16":
    from tests.train.half import HalfOnCpu
    run.Accelerator = HalfOnCpu
saved = run.RunKeeper.on_save
def save_and_die(self, trainer):
    saved(self, trainer)
    if trainer.position.phase == 1 and trainer.position.step == 2:
        os.kill(os.getpid(), signal.SIGKILL)
run.RunKeeper.on_save = save_and_die
if __name__ == "__main__":  # the workers import this again
    run.run_training(run.RunOptions(config=load_config(Path(sys.argv[1])), run_dir=Path(sys.argv[2]), cpu=True))
"""

# Not accelerate's launcher, which starts one process on a CPU, however many are asked for.
LAUNCH = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]

RUN_IN_TWO = """
import os, signal, sys
from pathlib import Path
import torch
torch.set_num_threads(1)
from retouch.train.config import load_config
from retouch.train import loop, run

stepped = loop.Trainer._step
def step_and_signal(self, state):
    values = stepped(self, state)
    if self.position.step == 2 and self.accelerator.process_index == int(sys.argv[3]):
        os.kill(os.getpid(), signal.SIGTERM)  # one alone hears it
    return values
loop.Trainer._step = step_and_signal
trainer = run.run_training(run.RunOptions(load_config(Path(sys.argv[1])), Path(sys.argv[2])))
rank = trainer.accelerator.process_index
Path(sys.argv[2] + f".rank{rank}").write_text(f"{trainer.position.phase} {trainer.position.step}")
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


@pytest.mark.parametrize("dropout", [0.0, 0.2])
def test_run_stopped_at_any_step_and_resumed_ends_with_the_same_weights(
    recipe: dict[str, Any], tmp_path: Path, dropout: float
) -> None:
    recipe["model"]["unet"] = recipe["model"]["unet"] | {"dropout": dropout}
    config = TrainConfig.model_validate(recipe)
    run_training(RunOptions(config=config, run_dir=tmp_path / "whole", cpu=True))
    for _ in range(6):
        run_training(RunOptions(config=config, run_dir=tmp_path / "cut", cpu=True, max_steps=1))
    whole, cut = (load_state(tmp_path / name / "checkpoint.pt") for name in ("whole", "cut"))
    assert same_weights(whole, cut)


def test_run_in_fp16_stopped_and_resumed_scales_its_losses_as_if_nothing_had_happened(
    recipe: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "Accelerator", HalfOnCpu)
    for phase in recipe["phases"]:
        phase["steps"] = 5
    config = TrainConfig.model_validate(recipe)
    run_training(RunOptions(config=config, run_dir=tmp_path / "whole", cpu=True))
    for steps in (3, 1, 3, 9):
        run_training(RunOptions(config=config, run_dir=tmp_path / "cut", cpu=True, max_steps=steps))
    whole, cut = (load_state(tmp_path / name / "checkpoint.pt") for name in ("whole", "cut"))
    assert whole["scaler"] == cut["scaler"]
    assert whole["scaler"]["scale"] == 2.0 ** (8 + 5)
    assert same_weights(whole, cut)


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["no", "bf16", "fp16"])
def test_run_killed_without_warning_and_resumed_ends_with_the_same_weights(
    recipe: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, precision: str
) -> None:
    recipe["log"]["save_every_steps"] = 2
    recipe["mixed_precision"] = "no" if precision == "fp16" else precision
    if precision == "fp16":
        monkeypatch.setattr(run, "Accelerator", HalfOnCpu)
    check_kill_and_resume(recipe, tmp_path, precision)


@pytest.mark.slow
def test_run_on_shards_killed_and_resumed_with_other_workers_ends_with_the_same_weights(
    recipe: dict[str, Any], data_dir: Path, tmp_path: Path
) -> None:
    export_shards(SceneComposer.open(data_dir, size=48), tmp_path / "shards", ExportOptions(count=14, per_shard=3))
    whole = (tmp_path / "shards" / "00001.tar").read_bytes()
    (tmp_path / "shards" / "00001.tar").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "shards" / "00009.tar").write_bytes(b"")
    data = {"kind": "shards", "folder": str(tmp_path / "shards"), "size": 32, "window": 2}
    for phase, workers in zip(recipe["phases"], (1, 2), strict=True):
        phase["data"] = data | {"workers": workers}
    recipe["log"]["save_every_steps"] = 2
    check_kill_and_resume(recipe, tmp_path, "no", others={"workers": 0})


def check_kill_and_resume(
    recipe: dict[str, Any], folder: Path, precision: str, others: dict[str, Any] | None = None
) -> None:
    """Run without an interruption, and killed and resumed with other data settings; compare the weights."""
    file = folder / "recipe.yaml"
    file.write_text(yaml.safe_dump(recipe))
    command = [sys.executable, script(folder, KILL_AFTER_SECOND_SAVE), file, folder / "killed", precision]
    environment = os.environ | {"PYTHONPATH": f"{Path.cwd()}:{os.environ.get('PYTHONPATH', '')}"}
    done = subprocess.run(command, env=environment, check=False)
    assert done.returncode == -signal.SIGKILL
    assert load_state(folder / "killed" / "checkpoint.pt")["phase"] == 1
    for phase in recipe["phases"]:
        phase["data"] |= others or {}
    config = TrainConfig.model_validate(recipe)
    run_training(RunOptions(config=config, run_dir=folder / "whole", cpu=True))
    run_training(RunOptions(config=config, run_dir=folder / "killed", cpu=True))
    assert same_weights(*(load_state(folder / name / "checkpoint.pt") for name in ("whole", "killed")))


def script(folder: Path, text: str) -> Path:
    path = folder / "script.py"
    path.write_text(text)
    return path


def run_in_two(recipe: dict[str, Any], folder: Path, *, stop_from: int) -> None:
    """Run in two processes to the folder `run`; one of them gets a signal after two steps, or none (-1)."""
    for phase in recipe["phases"]:
        phase["micro_batch"] = 2
    file = folder / "recipe.yaml"
    file.write_text(yaml.safe_dump(recipe))
    command = [*LAUNCH, script(folder, RUN_IN_TWO), file, folder / "run", str(stop_from)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert (folder / "run.rank1").exists()


@pytest.mark.slow
def test_a_signal_to_one_of_two_processes_stops_both_after_the_same_step(
    recipe: dict[str, Any], tmp_path: Path
) -> None:
    for phase in recipe["phases"]:
        phase["steps"] = 50
    run_in_two(recipe, tmp_path, stop_from=1)
    assert [(tmp_path / f"run.rank{rank}").read_text() for rank in range(2)] == ["0 2", "0 2"]
    assert load_state(tmp_path / "run" / "checkpoint.pt")["step"] == 2


def test_no_micro_batch_reads_a_value_from_the_device(
    recipe: dict[str, Any], cache_dir: Path, tmp_path: Path
) -> None:
    for phase in recipe["phases"]:
        phase["micro_batch"] = 1
    trainer, _ = start(RunOptions(config=TrainConfig.model_validate(recipe), run_dir=tmp_path, cpu=True))
    prepared = trainer._start_phase(LatentCache(cache_dir))
    trainer._gather_gradients(prepared)
    with Reads() as reads:
        trainer._gather_gradients(prepared)
    assert reads.seen == 0


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an accelerator")
def test_no_micro_batch_waits_for_the_accelerator(config: TrainConfig, cache_dir: Path, tmp_path: Path) -> None:
    trainer, _ = start(RunOptions(config=config, run_dir=tmp_path))
    prepared = trainer._start_phase(LatentCache(cache_dir))
    trainer._gather_gradients(prepared)
    torch.cuda.set_sync_debug_mode("error")
    try:
        trainer._gather_gradients(prepared)
    finally:
        torch.cuda.set_sync_debug_mode("default")


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
    run_in_two(recipe, tmp_path, stop_from=-1)
    one = run_training(RunOptions(config=TrainConfig.model_validate(recipe), run_dir=tmp_path / "one", cpu=True))
    two = load_state(tmp_path / "run" / "checkpoint.pt")
    for name, weight in one.state()["model"].items():
        torch.testing.assert_close(weight, two["model"][name], rtol=1e-3, atol=1e-4)


def test_two_processes_encode_a_folder_together(recipe: dict[str, Any], tmp_path: Path) -> None:
    pictures, cache = write_photographs(tmp_path / "pictures", 5), tmp_path / "cache"
    data = {"kind": "folder", "folder": str(pictures), "size": 32, "pictures": {"cache": str(cache)}}
    # Each micro-batch has a shape: so one process takes as many.
    recipe["phases"] = [{**recipe["phases"][1], "data": data, "micro_batch": 2}]
    run_in_two(recipe, tmp_path, stop_from=-1)
    encoded = {file.name: file.stat().st_mtime_ns for file in cache.iterdir()}
    one = run_training(RunOptions(config=TrainConfig.model_validate(recipe), run_dir=tmp_path / "one", cpu=True))
    assert {file.name: file.stat().st_mtime_ns for file in cache.iterdir()} == encoded
    two = load_state(tmp_path / "run" / "checkpoint.pt")
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
