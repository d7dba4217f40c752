"""Folders from strangers: only what was checked and hashed is loaded, and no number is believed unbounded."""

import json
import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load, save_file
from tests.factories import make_checkpoint
from tests.memory import grows_less_than, needs_proc

from retouch.errors import ModelError, ModelUnsafe, ModelUnsupported, RetouchError
from retouch.models.folder import load_folder
from retouch.models.load import load_model
from retouch.models.options import LoadOptions
from retouch.models.registry import describe, list_models

CPU = LoadOptions(device="cpu")
STEM = "diffusion_pytorch_model"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_checkpoint(tmp_path / "model", safety_checker=True)


def change(folder: Path, name: str, **values: Any) -> None:
    path = folder / name
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def shard(home: Path, stem: str = STEM, *, overlap: int = 0) -> tuple[Path, Path]:
    """Split a component's weights over two files and an index, `overlap` tensors in both."""
    weights = load((home / f"{stem}.safetensors").read_bytes())
    names = sorted(weights)
    files = tuple(home / f"{stem}-0000{n}-of-00002.safetensors" for n in (1, 2))
    for file, part in zip(files, (names[: 10 + overlap], names[10:]), strict=True):
        save_file({name: weights[name] for name in part}, file, metadata={"format": "pt"})
    index = {
        "metadata": {"total_size": 1},
        "weight_map": {name: files[n >= 10].name for n, name in enumerate(names)},
    }
    (home / f"{stem}.safetensors.index.json").write_text(json.dumps(index))
    (home / f"{stem}.safetensors").unlink()
    return files[0], files[1]


def test_index_of_shards_beside_the_weights_cannot_bring_others(folder: Path) -> None:
    home = folder / "unet"
    weights = load((home / f"{STEM}.safetensors").read_bytes())
    torch.save({name: torch.zeros_like(tensor) for name, tensor in weights.items()}, home / "evil.bin")
    index = {"metadata": {"total_size": 1}, "weight_map": dict.fromkeys(weights, "evil.bin")}
    (home / f"{STEM}.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(ModelUnsafe, match="both"):
        load_folder(folder, CPU)
    (home / f"{STEM}.safetensors").unlink()
    for allowed in (False, True):
        with pytest.raises(ModelUnsafe, match="not safetensors"):
            load_folder(folder, LoadOptions(device="cpu", allow_pickle=allowed))


def test_every_shard_is_hashed_and_loaded(folder: Path) -> None:
    whole = load_folder(folder, CPU)
    shards = shard(folder / "unet")
    sharded = load_folder(folder, CPU)
    ours, theirs = sharded.unet.state_dict(), whole.unet.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    assert describe(folder, CPU).content_hash == sharded.content_hash
    hashes = {sharded.content_hash}
    for path in shards:
        content = path.read_bytes()
        path.write_bytes(content[:-4] + b"\x01\x02\x03\x04")
        hashes.add(load_folder(folder, CPU).content_hash)
        path.write_bytes(content)
    assert len(hashes) == 3


def test_shards_that_both_hold_a_tensor_are_refused(folder: Path) -> None:
    shard(folder / "unet", overlap=1)
    with pytest.raises(ModelUnsafe, match="two of its shards"):
        load_folder(folder, CPU)


@pytest.mark.parametrize("component", ["unet", "vae", "text_encoder", "safety_checker"])
def test_adapter_beside_the_weights_is_refused(folder: Path, component: str) -> None:
    (folder / component / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "r": 4}))
    with pytest.raises(ModelUnsafe, match="adapter"):
        load_folder(folder, CPU)


def test_weights_that_change_while_they_load_are_not_used(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def attach(components: object, options: object) -> object:
        path = folder / "vae" / f"{STEM}.safetensors"
        os.utime(path, ns=(1, 1))
        return components

    monkeypatch.setattr("retouch.models.load.attach", attach)
    with pytest.raises(ModelError, match="changed while"):
        load_model(folder, CPU)


@needs_proc
@pytest.mark.parametrize(
    ("name", "values"),
    [
        (
            "text_encoder/config.json",
            {"num_hidden_layers": 64, "intermediate_size": 16384, "vocab_size": 1_000_000},
        ),
        ("text_encoder/config.json", {"max_position_embeddings": 16384, "hidden_size": 16384}),
        ("text_encoder/config.json", {"num_hidden_layers": 2}),
        ("unet/config.json", {"block_out_channels": [16384, 16384]}),
        ("unet/config.json", {"layers_per_block": 64, "transformer_layers_per_block": 64}),
        ("unet/config.json", {"attention_head_dim": 10**6}),
        ("unet/config.json", {"downsample_padding": 10**6}),
        ("unet/config.json", {"sample_size": 1024}),
        ("unet/config.json", {"sample_size": 1_000_000}),
        ("vae/config.json", {"block_out_channels": [16384] * 16}),
        ("scheduler/scheduler_config.json", {"num_train_timesteps": 200_000_000}),
        ("scheduler/scheduler_config.json", {"trained_betas": [0.1] * 200_000}),
        ("feature_extractor/preprocessor_config.json", {"size": {"shortest_edge": 20_000}}),
        ("feature_extractor/preprocessor_config.json", {"crop_size": {"height": 20_000, "width": 20_000}}),
        ("safety_checker/config.json", {"vision_config": {"hidden_size": 16384, "num_hidden_layers": 64}}),
        ("safety_checker/config.json", {"vision_config": {"image_size": 1024, "patch_size": 1}}),
    ],
)
def test_numbers_beyond_the_weights_take_no_memory(folder: Path, name: str, values: dict[str, Any]) -> None:
    load_model(folder, CPU)  # imports are no part of it
    change(folder, name, **values)
    started = time.process_time()
    with grows_less_than(100), pytest.raises(ModelError):
        load_model(folder, CPU)
    assert time.process_time() - started < 10


@needs_proc
def test_large_tokenizer_is_not_read(folder: Path) -> None:
    load_folder(folder, CPU)
    os.truncate(folder / "tokenizer" / "tokenizer.json", 300_000_000)
    with grows_less_than(100), pytest.raises(ModelUnsafe, match="larger"):
        load_folder(folder, CPU)


def test_what_a_config_says_of_attention_fetches_and_runs_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a config names `org/name` and `kernels` is installed, transformers fetches attention from the hub."""
    asked = []
    monkeypatch.setattr(
        "transformers.modeling_utils.lazy_import_flash_attention", lambda *names, **options: asked.append(names)
    )
    for name in ("text_encoder", "safety_checker"):
        change(folder, f"{name}/config.json", attn_implementation="kernels-community/flash-attn")
    loaded = load_folder(folder, CPU)
    assert asked == []
    assert loaded.text_encoder.config._attn_implementation in ("sdpa", "eager")


def test_quantised_weights_are_refused_by_name(folder: Path) -> None:
    change(folder, "text_encoder/config.json", quantization_config={"quant_method": "bitsandbytes"})
    with pytest.raises(ModelUnsupported, match="quantised"):
        load_folder(folder, CPU)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("model_index.json", {"unet": ["diffusers", []]}),
        ("model_index.json", {"_class_name": "x" * 10_000}),
        ("text_encoder/config.json", {"num_attention_heads": 0}),
        ("text_encoder/config.json", {"hidden_size": [192]}),
        ("text_encoder/config.json", {"hidden_act": "os.system"}),
        ("unet/config.json", {"norm_num_groups": 0}),
        ("unet/config.json", {"norm_num_groups": 7}),
        ("unet/config.json", {"attention_head_dim": 0}),
        ("unet/config.json", {"down_block_types": ["Nothing", "DownBlock2D"]}),
        ("unet/config.json", {"up_block_types": ["UpBlock2D"]}),
        ("vae/config.json", {"latent_channels": "abc"}),
        ("vae/config.json", {"scaling_factor": "x"}),
        ("vae/config.json", {"scaling_factor": 0}),
        ("tokenizer/tokenizer_config.json", {"model_max_length": "x"}),
        ("tokenizer/tokenizer_config.json", {"model_max_length": 9.5}),
        ("tokenizer/tokenizer_config.json", {"pad_token": [1]}),
        ("scheduler/scheduler_config.json", {"_class_name": "StableDiffusionPipeline"}),
        ("scheduler/scheduler_config.json", {"beta_schedule": "nothing"}),
        ("scheduler/scheduler_config.json", {"beta_start": "x"}),
        ("scheduler/scheduler_config.json", {"timestep_spacing": 7}),
        ("scheduler/scheduler_config.json", {"beta_end": {}}),
        ("scheduler/scheduler_config.json", {"beta_end": 12}),
        ("scheduler/scheduler_config.json", {"beta_start": 0}),
        ("scheduler/scheduler_config.json", {"trained_betas": [-0.5] * 1_000}),
        (
            "scheduler/scheduler_config.json",
            {"trained_betas": [1.0] * 1_000, "_class_name": "LMSDiscreteScheduler"},
        ),
        ("feature_extractor/preprocessor_config.json", {"size": "x"}),
        ("feature_extractor/preprocessor_config.json", {"image_std": [0, 0, 0]}),
    ],
)
def test_values_of_the_wrong_kind_are_errors_of_ours(folder: Path, name: str, values: dict[str, Any]) -> None:
    change(folder, name, **values)
    with pytest.raises(ModelError) as caught:
        load_model(folder, CPU)
    assert len(str(caught.value)) < 500
    assert caught.value.hint


def test_one_broken_folder_does_not_break_the_list(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, values in (
        ("a", {"latent_channels": "abc"}),
        ("b", {"block_out_channels": 7}),
        ("c", {"act_fn": []}),
    ):
        change(make_checkpoint(tmp_path / name), "vae/config.json", **values)
    entries, problems = list_models([tmp_path], LoadOptions(cache_dir=tmp_path / "cache"))
    assert [entry.path for entry in entries if entry.name != "pocket"] == [folder]
    assert len(problems) == 3


@pytest.mark.slow
@pytest.mark.timeout(1800)
@needs_proc
def test_two_thousand_changed_folders_give_errors_of_ours_within_bounds(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "retouch.json").write_text(
        json.dumps({"recommended": {"guidance_scale": 4, "context": 0.2}, "vocabulary": ["cat"], "licence": "MIT"})
    )
    run = subprocess.run(
        [sys.executable, "-m", "tests.models.folder_fuzzer", str(folder), "2000"],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
        env={**os.environ, "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"},
    )
    results = [json.loads(line) for line in run.stdout.splitlines()]
    kinds = Counter(result["outcome"].partition(":")[0] for result in results)
    worst = {key: max(result[key] for result in results) for key in ("seconds", "megabytes")}
    with capsys.disabled():
        took_s = sum(result["seconds"] for result in results)
        print(f"\n{len(results)} folders in {took_s:.0f} s: {dict(kinds)}, at most {worst}")
    assert len(results) == 2000
    assert [result for result in results if result["outcome"].startswith("foreign")] == []
    assert worst["seconds"] < 10
    assert worst["megabytes"] < 1024
    # Neither all caught at the first door nor all harmless.
    assert len(kinds) >= 5
    assert 100 < kinds["loaded"] < 1500


def test_errors_are_never_foreign_even_where_a_library_panics(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class PanicException(BaseException):  # as pyo3's, of Rust code
        pass

    def panic(*arguments: object, **options: object) -> object:
        raise PanicException("called `Option::unwrap()` on a `None` value")

    monkeypatch.setattr("transformers.CLIPTokenizer.from_pretrained", panic)
    with pytest.raises(ModelError, match="unwrap"):
        load_model(folder, CPU)
    monkeypatch.setattr("transformers.CLIPTokenizer.from_pretrained", lambda *a, **k: sys.exit(3))
    with pytest.raises(SystemExit):
        load_model(folder, CPU)
    assert issubclass(ModelError, RetouchError)
