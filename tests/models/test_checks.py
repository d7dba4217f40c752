"""Weight files from strangers: lies about sizes are found, code never runs."""

import json
import pickle
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

import retouch.models.checks as checks
import retouch.models.pickles as pickles
from retouch.errors import ModelError, ModelNotFound, ModelUnsafe
from retouch.models.checks import read_weights, safetensors_header, weight_format


def safetensors_bytes(header: object, data: bytes = b"\0" * 16) -> bytes:
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def tensor(shape: list[object], offsets: list[object], dtype: object = "F32") -> dict[str, object]:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


class WritesFile:
    """Unpickling it would create the file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return Path.write_text, (self.path, "code ran")


def test_good_file_passes_and_loads(tmp_path: Path) -> None:
    save_file({"a": torch.arange(4.0), "b": torch.ones(2, 3, dtype=torch.float16)}, tmp_path / "weights")
    assert safetensors_header(tmp_path / "weights")["b"].shape == (2, 3)
    assert torch.equal(read_weights(tmp_path / "weights")["a"], torch.arange(4.0))


def test_a_header_whose_length_begins_like_a_pickle_is_safetensors_all_the_same(tmp_path: Path) -> None:
    padding = "x" * (0x180 - len(safetensors_bytes({"__metadata__": {"of": ""}}, b"")) + 8)
    content = safetensors_bytes({"__metadata__": {"of": padding}}, b"")
    assert content[:2] == b"\x80\x01"
    (tmp_path / "weights").write_bytes(content)
    assert weight_format(tmp_path / "weights") == "safetensors"


@pytest.mark.parametrize(
    "header",
    [
        {"a": tensor([5], [0, 16])},
        {"a": tensor([2**20, 2**20], [0, 16])},
        {"a": tensor([2**62, 4], [0, 16])},
        {"a": tensor([4], [0, 16], "X9")},
        {"a": tensor([4], [0, 16], [])},
        {"a": tensor([4], [0, 16], {"F32": 1})},
        {"a": tensor([-4], [0, 16])},
        {"a": tensor([True, 4], [0, 16])},
        {"a": tensor([4], [4, 20])},
        {"a": tensor([4], [0, 16.0])},
        {"a": tensor([4], [0, 16]), "b": tensor([4], [0, 16])},
        {"a": tensor([2], [0, 8])},
        {"a": 7},
        {"a": tensor([2], [0, 8]), "b": tensor([1], [12, 16])},
        [1, 2],
    ],
)
def test_header_that_does_not_fit_the_file_is_refused(tmp_path: Path, header: object) -> None:
    (tmp_path / "weights").write_bytes(safetensors_bytes(header))
    with pytest.raises(ModelUnsafe):
        safetensors_header(tmp_path / "weights")


def test_header_longer_than_the_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "weights").write_bytes((2**40).to_bytes(8, "little") + b"{}" + b" " * 100)
    with pytest.raises(ModelUnsafe, match="header"):
        safetensors_header(tmp_path / "weights")


def test_too_many_tensors_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "MAX_TENSORS", 2)
    save_file({name: torch.ones(1) for name in "abc"}, tmp_path / "weights")
    with pytest.raises(ModelUnsafe, match="at most 2"):
        safetensors_header(tmp_path / "weights")


def test_cut_off_download_is_refused(tmp_path: Path) -> None:
    save_file({"a": torch.ones(100)}, tmp_path / "weights")
    whole = (tmp_path / "weights").read_bytes()
    (tmp_path / "weights").write_bytes(whole[:-40])
    with pytest.raises(ModelUnsafe, match="cut off"):
        read_weights(tmp_path / "weights")


def test_pickle_is_refused_unless_asked_for(tmp_path: Path) -> None:
    torch.save({"a": torch.ones(2)}, tmp_path / "weights.ckpt")
    with pytest.raises(ModelUnsafe, match="pickle") as caught:
        read_weights(tmp_path / "weights.ckpt")
    assert "--allow-pickle" in caught.value.hint
    assert read_weights(tmp_path / "weights.ckpt", allow_pickle=True).keys() == {"a"}


def test_name_does_not_make_a_pickle_safe(tmp_path: Path) -> None:
    torch.save({"a": torch.ones(2)}, tmp_path / "weights.SAFETENSORS")
    assert weight_format(tmp_path / "weights.SAFETENSORS") == "pickle"
    with pytest.raises(ModelUnsafe):
        read_weights(tmp_path / "weights.SAFETENSORS")


def test_code_in_a_pickle_never_runs(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    torch.save({"a": WritesFile(mark)}, tmp_path / "new.ckpt")
    (tmp_path / "old.ckpt").write_bytes(pickle.dumps(WritesFile(mark)))
    for name in ("new.ckpt", "old.ckpt"):
        for allowed in (False, True):
            with pytest.raises(ModelUnsafe):
                read_weights(tmp_path / name, allow_pickle=allowed)
    assert not mark.exists()


def test_compressed_archive_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bomb.ckpt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", b"\0" * 10_000_000)
    with pytest.raises(ModelUnsafe, match="plain"):
        read_weights(path, allow_pickle=True)


def test_pickles_need_a_torch_without_known_holes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.save({"a": torch.ones(2)}, tmp_path / "weights.pt")
    monkeypatch.setattr(pickles, "torch_version", lambda: (2, 9))
    with pytest.raises(ModelUnsafe, match="torch"):
        read_weights(tmp_path / "weights.pt", allow_pickle=True)


def test_nested_tables_of_weights_are_found(tmp_path: Path) -> None:
    torch.save({"state_dict": {"a": torch.ones(2)}, "epoch": 3}, tmp_path / "weights.ckpt")
    assert read_weights(tmp_path / "weights.ckpt", allow_pickle=True).keys() == {"a"}
    torch.save([torch.ones(2)], tmp_path / "list.ckpt")
    with pytest.raises(ModelError, match="table"):
        read_weights(tmp_path / "list.ckpt", allow_pickle=True)


def test_stand_ins_for_weights_are_named_for_what_they_are(tmp_path: Path) -> None:
    pointer = tmp_path / "pointer.safetensors"
    pointer.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    with pytest.raises(ModelNotFound, match="LFS"):
        weight_format(pointer)
    page = tmp_path / "page.safetensors"
    page.write_text("<!doctype html><title>404</title>")
    with pytest.raises(ModelUnsafe, match="no weight file"):
        weight_format(page)
    with pytest.raises(ModelNotFound, match="no weight file"):
        weight_format(tmp_path / "nothing")
