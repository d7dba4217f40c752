"""PyTorch checkpoints, which are pickles: read only where that was asked for, and never more than weights."""

import pickletools
import zipfile
from pathlib import Path
from typing import Any

import torch

from retouch.errors import ModelError, ModelUnsafe
from retouch.models.guarded import guarded

PICKLE_TORCH = (2, 10)
MAX_MEMBERS = 20_000
_MAX_PROGRAM_BYTES = 4 * 2**20
_STORAGES = ("Double", "Float", "Half", "BFloat16", "Long", "Int", "Short", "Char", "Byte", "Bool")
# All that a table of weights needs. torch's own list is longer: what else is there (bytearray, storages by size,
# sparse and nested tensors) takes memory that the file does not hold.
_NAMES = frozenset(
    (
        "collections OrderedDict",
        "torch._utils _rebuild_tensor_v2",
        "torch._utils _rebuild_parameter",
        "torch Size",
        *(f"torch {kind}Storage" for kind in _STORAGES),
    )
)
# Opcodes that name things in other ways, or make containers that weigh far more than the byte they cost.
_REFUSED = frozenset(
    ("STACK_GLOBAL", "INST", "OBJ", "NEWOBJ", "NEWOBJ_EX", "EXT1", "EXT2", "EXT4", "EMPTY_SET", "FROZENSET")
)


def read_pickle(path: Path, *, allow_pickle: bool) -> dict[str, torch.Tensor]:
    """Load the tensors of a PyTorch checkpoint, as `load_pickle` reads it.

    Raises:
        ModelUnsafe: as `load_pickle`, or its tensors claim more than the file holds.
        ModelError: it does not hold a table of weights.
    """
    weights = _table(path, load_pickle(path, allow_pickle=allow_pickle))
    # Strides of 0, and views that overlap, claim more than the file holds.
    if sum(tensor.numel() * tensor.element_size() for tensor in weights.values()) > path.stat().st_size:
        raise ModelUnsafe(f"{path.name}: its tensors claim more bytes than the file has")
    return weights


def load_pickle(path: Path, *, allow_pickle: bool) -> Any:
    """Load a PyTorch checkpoint, with the unpickler that builds nothing but tensors and plain values.

    Raises:
        ModelUnsafe: pickles are not allowed, torch is too old for them (CVE-2025-32434, CVE-2026-24747), or the
            file is no plain archive of weights and nothing else.
    """
    _check_leave(path, allow_pickle=allow_pickle)
    hint = "convert it to safetensors on a machine that you can lose"
    with guarded(f"{path.name} is no plain PyTorch archive", hint=hint, error=ModelUnsafe):
        _check_archive(path)
        _check_program(path)
    with guarded(f"{path.name} holds more than weights, so it is not loaded", hint=hint, error=ModelUnsafe):
        return torch.load(path, map_location="cpu", weights_only=True)


def torch_version() -> tuple[int, int]:
    """Return major and minor of the torch that runs."""
    major, minor = torch.__version__.split(".")[:2]
    return int(major), int(minor)


def _check_leave(path: Path, *, allow_pickle: bool) -> None:
    if not allow_pickle:
        raise ModelUnsafe(
            f"{path.name} is a pickle, a format that can carry code",
            hint="prefer a .safetensors file; or pass --allow-pickle to read its weights only",
        )
    if torch_version() < PICKLE_TORCH:
        raise ModelUnsafe(
            f"pickles are not read with torch {torch.__version__}",
            hint="torch 2.10 or later closes known holes of its unpickler; or use safetensors",
        )


def _check_archive(path: Path) -> None:
    if not zipfile.is_zipfile(path):
        raise ModelUnsafe(f"{path.name} is a pickle of the old kind", hint="convert it to safetensors")
    with zipfile.ZipFile(path) as archive:
        members, comment = archive.infolist(), archive.comment
    if len(members) > MAX_MEMBERS or any(member.compress_type != zipfile.ZIP_STORED for member in members):
        raise ModelUnsafe(f"{path.name} is not a plain PyTorch archive: compressed, or too many members")
    if sum(member.file_size for member in members) > path.stat().st_size:
        raise ModelUnsafe(f"{path.name}: its members claim more bytes than the file has")
    # Of such archives two readers could see two contents: this one, and torch's.
    if comment or len({member.filename for member in members}) < len(members):
        raise ModelUnsafe(f"{path.name} is not a plain PyTorch archive: it can be read in two ways")
    programs = [member for member in members if member.filename.endswith("/data.pkl")]
    if len(programs) != 1 or programs[0].file_size > _MAX_PROGRAM_BYTES:
        raise ModelUnsafe(f"{path.name} is not a plain PyTorch archive: no table of weights, or a large one")


def _check_program(path: Path) -> None:
    """Look at every instruction of the pickle without running one; torch's own reader finds it, as in the load."""
    program = torch._C.PyTorchFileReader(str(path)).get_record("data.pkl")
    for opcode, argument, _ in pickletools.genops(program):
        if opcode.name in _REFUSED or (opcode.name == "GLOBAL" and argument not in _NAMES):
            name = f" ({str(argument).replace(' ', '.')[:80]})" if argument else ""
            raise ModelUnsafe(
                f"{path.name} holds more than weights{name}, so it is not loaded",
                hint="convert it to safetensors on a machine that you can lose",
            )


def _table(path: Path, content: Any) -> dict[str, torch.Tensor]:
    """Return the table of weights, also one under `state_dict` or, of textual inversions, `string_to_param`."""
    for wrapper in ("state_dict", "string_to_param"):
        if isinstance(content, dict) and isinstance(content.get(wrapper), dict):
            content = content[wrapper]
    if not isinstance(content, dict):
        raise ModelError(f"{path.name} does not hold a table of weights")
    return {str(name): tensor for name, tensor in content.items() if isinstance(tensor, torch.Tensor)}
