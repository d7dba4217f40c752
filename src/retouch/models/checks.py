"""Checks of weight files that come from strangers, before a byte of them is loaded."""

import json
import math
import reprlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from safetensors.torch import load_file

from retouch.errors import ModelNotFound, ModelUnsafe
from retouch.models.guarded import guarded
from retouch.models.pickles import read_pickle

WeightFormat = Literal["safetensors", "pickle"]

MAX_HEADER_BYTES = 16 * 2**20
MAX_TENSORS = 20_000
_DTYPE_BYTES = {
    "F64": 8, "F32": 4, "F16": 2, "BF16": 2, "F8_E4M3": 1, "F8_E5M2": 1,
    "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U64": 8, "U32": 4, "U16": 2, "U8": 1, "BOOL": 1,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """What a safetensors header says of one tensor."""

    dtype: str
    shape: tuple[int, ...]


def weight_format(path: Path) -> WeightFormat:
    """Tell the format of a weight file by its first bytes; the name does not count.

    Raises:
        ModelNotFound: there is no such file, or only a Git LFS pointer to it.
        ModelUnsafe: the bytes are of no known weight format.
    """
    if not path.is_file():
        raise ModelNotFound(f"there is no weight file at {path}")
    with path.open("rb") as file:
        head = file.read(64)
    if head.startswith(b"version https://git-lfs"):
        raise ModelNotFound(
            f"{path.name} is a Git LFS pointer, not the weights", hint="run `git lfs pull` in its repository"
        )
    # First, for the length that safetensors begin with may have the byte that pickles begin with. Its upper half
    # is zero: no header is 4 GiB long.
    if head[4:9] == b"\x00\x00\x00\x00{":
        return "safetensors"
    if head.startswith((b"PK\x03\x04", b"\x80")):
        return "pickle"
    if head[8:9] == b"{":  # with a length that is a lie: its reader says so
        return "safetensors"
    raise ModelUnsafe(
        f"{path.name} is no weight file that retouch knows",
        hint="expected safetensors, or a PyTorch checkpoint with --allow-pickle",
    )


def safetensors_header(path: Path) -> dict[str, TensorInfo]:
    """Read and check the header of a safetensors file; no tensor is loaded.

    The header must fit its limits, every tensor's bytes must be what its shape and dtype need, and together
    they must cover the file without gap or overlap (https://github.com/huggingface/safetensors#format).

    Raises:
        ModelUnsafe: a claim of the header does not fit the file.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > min(MAX_HEADER_BYTES, size - 8):
            raise ModelUnsafe(f"{path.name}: the header claims {length} bytes")
        try:
            header = json.loads(file.read(length))
        except (ValueError, RecursionError) as error:
            raise ModelUnsafe(f"{path.name}: the header is not JSON") from error
    if not isinstance(header, dict) or len(header) > MAX_TENSORS:
        raise ModelUnsafe(f"{path.name}: the header is not a table of at most {MAX_TENSORS} tensors")
    header.pop("__metadata__", None)
    spans = []
    infos = {}
    for name, entry in header.items():
        infos[name], span = _tensor_entry(path, name, entry)
        spans.append(span)
    _check_cover(path, spans, size - 8 - length)
    return infos


def read_weights(path: Path, *, allow_pickle: bool = False) -> dict[str, torch.Tensor]:
    """Load the tensors of one weight file to the CPU, as they are stored; those of safetensors are mapped.

    Args:
        path: a safetensors file, or a PyTorch checkpoint (also one that keeps them under `state_dict`,
            or under `string_to_param` as textual inversions do).
        allow_pickle: read a PyTorch checkpoint, with the unpickler that builds nothing but tensors.
    Raises:
        ModelNotFound: there is no such file.
        ModelUnsafe: it is a pickle and pickles are not allowed, or it holds more than weights, or its sizes
            are lies.
    """
    if weight_format(path) == "pickle":
        return read_pickle(path, allow_pickle=allow_pickle)
    safetensors_header(path)
    with guarded(f"{path.name} cannot be read"):
        return load_file(path)


def _tensor_entry(path: Path, name: str, entry: object) -> tuple[TensorInfo, tuple[int, int]]:
    where = f"{path.name}: {reprlib.repr(name)}"
    if not isinstance(entry, dict) or not isinstance(entry.get("shape"), list):
        raise ModelUnsafe(f"{where} is not described as a tensor")
    shape, offsets, dtype = entry["shape"], entry.get("data_offsets"), entry.get("dtype")
    if not all(type(side) is int and 0 <= side < 2**40 for side in shape) or len(shape) > 8:
        raise ModelUnsafe(f"{where} has an impossible shape")
    if not isinstance(dtype, str) or dtype not in _DTYPE_BYTES:
        raise ModelUnsafe(f"{where} has an unknown dtype: {reprlib.repr(dtype)}")
    if not (isinstance(offsets, list) and len(offsets) == 2 and all(type(offset) is int for offset in offsets)):
        raise ModelUnsafe(f"{where} has no place in the file")
    if offsets[1] - offsets[0] != math.prod(shape) * _DTYPE_BYTES[dtype]:
        raise ModelUnsafe(f"{where} claims another size than its shape needs")
    return TensorInfo(dtype, tuple(shape)), (offsets[0], offsets[1])


def _check_cover(path: Path, spans: list[tuple[int, int]], size: int) -> None:
    position = 0
    for start, end in sorted(spans):
        if start != position:
            raise ModelUnsafe(f"{path.name}: its tensors overlap or leave gaps")
        position = end
    if position != size:
        raise ModelUnsafe(f"{path.name} should hold {position} bytes of tensors, it holds {size}: cut off?")
