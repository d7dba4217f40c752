"""Hostile checkpoint folders by the thousand, each loaded in a child whose memory is limited.

    python -m tests.models.folder_fuzzer FOLDER COUNT [FIRST]

FOLDER is a whole checkpoint, which is left as it is. Case n is the same everywhere: its number seeds its changes.
Prints one JSON object a case: what became of it, seconds of processor time, and the megabytes by which the child
grew. Imports are paid once: a warm process forks a child for each batch of cases.
"""

import contextlib
import io
import json
import os
import random
import resource
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load
from tests.memory import memory_bytes

BATCH = 100
MAX_SECONDS = 10
MAX_BYTES = 2**30
NUMBERS = "0 -1 1 2 3 7 255 10000 1000000 2147483648 9223372036854775808 -1.5 0.5 1e-300 1e308 Infinity NaN"
TEXTS = (
    "x ../../etc/passwd os.system kernels-community/flash trailing UNet2DConditionModel StableDiffusionPipeline"
)
HOSTILE: tuple[Any, ...] = (
    *map(json.loads, f"null true false {NUMBERS}".split()),
    *("", "\0", "\ud800", "x" * 10_000, *TEXTS.split()),
    *([], [[]], [0], [1, 2, 3], [10**9] * 50, [None], ["diffusers", []], {}, {"content": "<x>"}),
    *({"type": "Precompiled", "precompiled_charsmap": "AAAA"}, {"quant_method": "bitsandbytes"}),
)
# Keys that libraries know and a plain checkpoint does not have, or has elsewhere.
EXTRA_KEYS = (
    "attn_implementation _attn_implementation quantization_config auto_map torch_dtype normalizer dtype size "
    "image_size num_attention_heads attention_head_dim num_train_timesteps sample_size trained_betas "
    "layers_per_block num_hidden_layers vocab_size added_tokens_decoder model_max_length use_attention_mask "
    "time_cond_proj_dim encoder_hid_dim solver_order"
)
MASK = np.zeros((32, 32), np.uint8)
MASK[8:24, 8:24] = 255


class Folder:
    """A checkpoint's files in memory, changed by one case."""

    def __init__(self, files: dict[str, bytes], rng: random.Random) -> None:
        self.files, self.rng = dict(files), rng

    def change(self) -> None:
        """Make one to three changes."""
        kinds: tuple[Callable[[], None], ...] = (
            *(self.set_value, self.set_value, self.grow_value, self.grow_value, self.grow_value),
            *(self.delete_value, self.add_value, self.flip_byte, self.flip_head, self.cut, self.delete_file),
            *(self.swap_files, self.add_index, self.rename_file, self.double_json),
        )
        for _ in range(self.rng.choice((1, 1, 1, 2, 3))):
            self.rng.choice(kinds)()

    def flip_byte(self) -> None:
        self._edit(self._name(), self.rng.random())

    def flip_head(self) -> None:
        """Weights are large; what is fragile in them lies in front."""
        self._edit(self._name("safetensors"), self.rng.random() ** 8)

    def cut(self) -> None:
        name = self._name()
        self.files[name] = self.files[name][: int(self.rng.random() * len(self.files[name]))]

    def delete_file(self) -> None:
        del self.files[self._name()]

    def swap_files(self) -> None:
        one, other = self._name(), self._name()
        self.files[one], self.files[other] = self.files[other], self.files[one]

    def rename_file(self) -> None:
        old = self._name()
        home = old.rpartition("/")[0]
        stems = ("adapter_config.json", "config.json", "model.fp16.safetensors", "merges.txt", "pytorch_model.bin")
        self.files[f"{home}/{self.rng.choice(stems)}"] = self.files.pop(old)

    def add_index(self) -> None:
        """An index of shards beside the weights, or instead of them."""
        name = self._name("safetensors")
        home, _, file = name.rpartition("/")
        shard = self.rng.choice((file, "evil.bin", "../unet/config.json", "shard-00001-of-00001.safetensors"))
        self.files[f"{home}/{file}.index.json"] = json.dumps({"weight_map": {"a": shard}}).encode()
        if self.rng.random() < 0.5:
            self.files[f"{home}/{shard}"] = self.files.pop(name)

    def double_json(self) -> None:
        name = self._name("json")
        self.files[name] *= 2

    def set_value(self) -> None:
        self._json(lambda holder, key: holder.__setitem__(key, self.rng.choice(HOSTILE)))

    def delete_value(self) -> None:
        self._json(lambda holder, key: holder.__delitem__(key))

    def add_value(self) -> None:
        def add(holder: Any, key: Any) -> None:
            if isinstance(holder, dict):
                holder[self.rng.choice(EXTRA_KEYS.split())] = self.rng.choice(HOSTILE)

        self._json(add)

    def grow_value(self) -> None:
        def grow(holder: Any, key: Any) -> None:
            value, factor = holder[key], 10 ** self.rng.randint(1, 6)
            if isinstance(value, (str, list)):
                holder[key] = value * min(factor, 300_000 // (len(value) or 1) or 1)
            elif isinstance(value, dict):
                holder[key] = {**value, **{f"k{n}": n for n in range(min(factor, 50_000))}}
            elif isinstance(value, (int, float)):
                holder[key] = value * factor + self.rng.choice((0, 1))

        self._json(grow)

    def _json(self, change: Callable[[Any, Any], None]) -> None:
        name = self._name("json")
        try:
            tree = json.loads(self.files[name])
        except ValueError:
            return
        places = list(_places(tree, self.rng))
        if places:
            change(*self.rng.choice(places))
            self.files[name] = json.dumps(tree).encode()

    def _name(self, suffix: str = "") -> str:
        return self.rng.choice(sorted(name for name in self.files if name.endswith(suffix)))

    def _edit(self, name: str, where: float) -> None:
        content = bytearray(self.files[name])
        if content:
            content[int(where * len(content))] = self.rng.randrange(256)
            self.files[name] = bytes(content)


def _places(tree: Any, rng: random.Random) -> Iterator[tuple[Any, Any]]:
    """Every value of a tree as (its holder, its key); of long tables only some."""
    if not isinstance(tree, (dict, list)):
        return
    keys = list(tree) if isinstance(tree, dict) else list(range(len(tree)))
    for key in keys if len(keys) <= 60 else rng.sample(keys, 5):
        yield tree, key
        yield from _places(tree[key], rng)


def use(folder: Path, *, allow_pickle: bool) -> str:
    """List, describe and load a folder as a user would, and run what was loaded on something tiny."""
    from retouch.errors import RetouchError
    from retouch.inpainter import Inpainter
    from retouch.models.options import LoadOptions
    from retouch.models.registry import describe, list_models

    options = LoadOptions(
        device="cpu", allow_pickle=allow_pickle, cache_dir=folder / "cache", local_files_only=True
    )
    list_models([folder], options)
    with contextlib.suppress(RetouchError):
        describe(folder, options)
    try:
        loaded = Inpainter.load(folder, options=options)
    except RetouchError as error:
        return f"{type(error).__name__}: {error}"
    with loaded:
        try:
            loaded("a red apple", np.full((32, 32, 3), 90, np.uint8), MASK, num_inference_steps=2, seed=7)
        except RetouchError as error:
            return f"loaded, then {type(error).__name__}: {error}"
    return "loaded"


def with_pickle(files: dict[str, bytes]) -> dict[str, bytes]:
    """Return the files with the VAE as older checkpoints have it."""
    content = io.BytesIO()
    torch.save(load(files["vae/diffusion_pytorch_model.safetensors"]), content)
    others = {name: data for name, data in files.items() if name != "vae/diffusion_pytorch_model.safetensors"}
    return {**others, "vae/diffusion_pytorch_model.bin": content.getvalue()}


def run_case(files: dict[str, bytes], case: int, home: Path) -> dict[str, Any]:
    """Return what became of one case."""
    rng = random.Random(case)
    hostile = Folder(files if rng.random() < 0.8 else with_pickle(files), rng)
    hostile.change()
    for name, content in hostile.files.items():
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_bytes(content)
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts at what is there
    before, started = memory_bytes("VmRSS"), time.process_time()
    try:
        outcome = use(home, allow_pickle=rng.random() < 0.8)
    except BaseException as error:  # noqa: BLE001  # a panic is one
        outcome = f"foreign {type(error).__name__}: {error}"[:300]
    seconds = time.process_time() - started
    return {
        "case": case,
        "outcome": outcome,
        "seconds": seconds,
        "megabytes": (memory_bytes("VmHWM") - before) / 2**20,
    }


def run(files: dict[str, bytes], cases: range) -> Iterator[dict[str, Any]]:
    """Run cases in forked children; one that dies or hangs is a result, and the next child goes on behind it."""
    first = cases.start
    while first < cases.stop:
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(read)
            _work(files, range(first, min(first + BATCH, cases.stop)), write)
        os.close(write)
        batch_end = min(first + BATCH, cases.stop)
        with os.fdopen(read) as lines:
            for line in lines:
                yield json.loads(line)
                first += 1
        status = os.waitpid(child, 0)[1]
        if first < batch_end:
            yield {"case": first, "outcome": f"foreign death {status}", "seconds": 0.0, "megabytes": 0.0}
            first += 1


def _work(files: dict[str, bytes], cases: range, pipe: int) -> None:
    limit = memory_bytes("VmSize") + MAX_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # libraries' complaints
    for case in cases:
        # A machine that others use makes a case long by the clock, not by the processor's.
        signal.setitimer(signal.ITIMER_PROF, MAX_SECONDS + 5)
        signal.alarm(20 * MAX_SECONDS)
        with tempfile.TemporaryDirectory() as name:
            os.environ["XDG_CACHE_HOME"] = f"{name}/cache"
            result = run_case(files, case, Path(name) / "model")
        os.write(pipe, json.dumps(result).encode() + b"\n")
    os._exit(0)


def main() -> None:
    torch.set_num_threads(1)
    folder, count, first = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 0
    files = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    if use(folder, allow_pickle=False) != "loaded":  # also imports all that the children need
        raise SystemExit(f"{folder} is no whole checkpoint")
    for result in run(files, range(first, first + count)):
        print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
