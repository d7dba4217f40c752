"""Pickled weights, where they are allowed at all: tables of tensors that the file holds, and nothing else."""

import io
import pickle
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from tests.memory import grows_less_than, needs_proc

from retouch.errors import ModelError, ModelUnsafe
from retouch.models.checks import read_weights

SIZE = 2_000_000_000


class Calls:
    """Unpickling it would call a function."""

    def __init__(self, function: Callable[..., object], *arguments: object) -> None:
        self.function, self.arguments = function, arguments

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return self.function, self.arguments


def read(path: Path) -> dict[str, torch.Tensor]:
    return read_weights(path, allow_pickle=True)


def rewritten(path: Path, change: Callable[[str, bytes], bytes]) -> Path:
    """Write the members of a PyTorch archive anew, each as `change(name, content)` gives it."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, content in members.items():
            archive.writestr(name, change(name.partition("/")[2], content))
    return path


def test_weights_parameters_and_views_of_them_load(tmp_path: Path) -> None:
    base = torch.arange(12.0).reshape(3, 4)
    table = OrderedDict(
        a=base, t=base.T.clone().T, half=base.half(), p=torch.nn.Parameter(base), n=torch.ones(3).long()
    )
    torch.save(table, tmp_path / "weights.bin")
    loaded = read(tmp_path / "weights.bin")
    assert loaded.keys() == table.keys()
    assert all(torch.equal(loaded[name], table[name]) for name in table)


@needs_proc
@pytest.mark.parametrize(
    "value",
    [
        Calls(bytearray, SIZE),
        Calls(torch.storage.UntypedStorage, SIZE),
        Calls(torch.Tensor, SIZE),
        Calls(complex, 1),
        {1, 2},
        torch.zeros(3, 3).to_sparse(),
        torch.zeros(3, device="meta"),
        torch.quantize_per_tensor(torch.zeros(3), 0.1, 0, torch.qint8),
    ],
)
def test_what_takes_memory_or_is_no_plain_tensor_is_refused(tmp_path: Path, value: object) -> None:
    torch.save({"a": torch.ones(2), "b": value}, tmp_path / "weights.ckpt")
    with grows_less_than(50), pytest.raises(ModelUnsafe, match="more than weights"):
        read(tmp_path / "weights.ckpt")


@needs_proc
@pytest.mark.parametrize(
    "view",
    [
        torch.zeros(1, dtype=torch.float16).expand(SIZE // 2),
        torch.zeros(100_000).as_strided((50_000, 50_000), (1, 1)),
    ],
)
def test_views_that_claim_more_than_the_file_holds_are_refused(tmp_path: Path, view: torch.Tensor) -> None:
    torch.save({"a": view}, tmp_path / "weights.ckpt")
    with grows_less_than(50), pytest.raises(ModelUnsafe, match="claim more"):
        read(tmp_path / "weights.ckpt")


@needs_proc
def test_storage_that_claims_more_than_its_member_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "weights.ckpt"
    torch.save({"a": torch.zeros(77)}, path)

    def enlarge(name: str, content: bytes) -> bytes:
        return content.replace(b"K\x4d", b"J" + struct.pack("<i", SIZE)) if name == "data.pkl" else content

    with grows_less_than(50), pytest.raises(ModelError):
        read(rewritten(path, enlarge))


def test_archive_that_is_not_whole_is_an_error_of_ours(tmp_path: Path) -> None:
    path = tmp_path / "weights.ckpt"
    torch.save({"a": torch.zeros(77)}, path)
    whole = path.read_bytes()
    central = whole.rindex(b"PK\x01\x02")
    for broken in (
        whole[:central] + b"PK\x09\x09" + whole[central + 4 :],  # of the central directory
        whole[:-30],
        whole[:200] + whole[260:],
        b"PK\x03\x04" + bytes(100),
    ):
        path.write_bytes(broken)
        with pytest.raises(ModelUnsafe):
            read(path)


def test_archive_that_two_readers_could_read_differently_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "weights.ckpt"
    torch.save({"a": torch.zeros(7)}, path)
    with zipfile.ZipFile(path, "a") as archive:
        name = next(name for name in archive.namelist() if name.endswith("data.pkl"))
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr(name, pickle.dumps({}, protocol=2))
    with pytest.raises(ModelUnsafe, match="two ways"):
        read(path)
    torch.save({"a": torch.zeros(7)}, path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.comment = b"PK\x05\x06" + bytes(18)
    with pytest.raises(ModelUnsafe):
        read(path)


@pytest.mark.parametrize("protocol", [0, 3, 4, 5])
def test_names_are_checked_in_every_protocol(tmp_path: Path, protocol: int) -> None:
    path = tmp_path / "weights.ckpt"
    torch.save({"a": torch.zeros(7)}, path)
    program = pickle.dumps({"a": Calls(bytearray, 10)}, protocol=protocol)
    with pytest.raises(ModelUnsafe):
        read(rewritten(path, lambda name, content: program if name == "data.pkl" else content))


@needs_proc
def test_long_programs_are_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "weights.ckpt"
    torch.save({"a": torch.zeros(7)}, path)
    program = b"\x80\x02" + b"}" * 40_000_000 + b"."
    rewritten(path, lambda name, content: program if name == "data.pkl" else content)
    with grows_less_than(50), pytest.raises(ModelUnsafe, match="large"):
        read(path)


@needs_proc
def test_many_small_objects_stay_small(tmp_path: Path) -> None:
    path = tmp_path / "weights.ckpt"
    torch.save({"a": torch.zeros(7)}, path)
    ordered = io.BytesIO()
    ordered.write(b"\x80\x02(ccollections\nOrderedDict\nq\x00")
    ordered.write(b"h\x00)R" * 1_000_000 + b"t.")
    rewritten(path, lambda name, content: ordered.getvalue() if name == "data.pkl" else content)
    with grows_less_than(800), pytest.raises(ModelError):
        read(path)
