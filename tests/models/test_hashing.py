"""Hashes follow contents, not places; a remembered one is used until the file changes."""

import os
import time
from pathlib import Path

import pytest
import torch

import retouch.models.hashing as hashing
from retouch.models.hashing import default_cache, hash_files, hash_tensors, identities


def a_minute_later() -> int:
    return time.time_ns() + 60 * 10**9


def test_hash_depends_on_names_and_contents_not_on_places_or_order(tmp_path: Path) -> None:
    cache = tmp_path / "cache.json"
    paths = []
    for name, text in (("a", "one"), ("b", "two"), ("c", "one")):
        (tmp_path / name).write_text(text)
        paths.append(tmp_path / name)
    first = hash_files([("x", paths[0]), ("y", paths[1])], cache=cache)
    assert first == hash_files([("y", paths[1]), ("x", paths[2])], cache=cache)
    assert first != hash_files([("x", paths[1]), ("y", paths[0])], cache=cache)


def test_file_is_read_once_and_again_after_a_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, cache, reads = tmp_path / "weights", tmp_path / "deep" / "cache.json", []
    real = hashing._hash_file
    monkeypatch.setattr(hashing, "_hash_file", lambda file: reads.append(file) or real(file))
    path.write_text("one")
    first = hash_files([("w", path)], cache=cache, clock=a_minute_later)
    assert hash_files([("w", path)], cache=cache) == first
    assert len(reads) == 1
    path.write_text("two")
    os.utime(path, ns=(1, 1))
    assert hash_files([("w", path)], cache=cache) != first
    assert len(reads) == 2


def test_other_bytes_of_the_same_size_and_time_have_another_hash(tmp_path: Path) -> None:
    path, cache = tmp_path / "weights", tmp_path / "cache.json"
    path.write_bytes(b"one")
    before = path.stat().st_mtime_ns
    first = hash_files([("w", path)], cache=cache)
    path.write_bytes(b"two")
    os.utime(path, ns=(before, before))
    assert hash_files([("w", path)], cache=cache) != first


def test_replaced_file_has_another_identity_whatever_its_time(tmp_path: Path) -> None:
    path, other = tmp_path / "weights", tmp_path / "other"
    path.write_bytes(b"one")
    before = identities([path])
    other.write_bytes(b"two")
    os.utime(other, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns))
    other.replace(path)
    assert identities([path]) != before


def test_broken_or_unwritable_cache_only_costs_time(tmp_path: Path) -> None:
    path, cache = tmp_path / "weights", tmp_path / "cache.json"
    path.write_text("one")
    cache.write_text("not JSON")
    first = hash_files([("w", path)], cache=cache)
    assert hash_files([("w", path)], cache=path / "below-a-file" / "cache.json") == first


def test_cache_lives_in_the_users_cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_cache() == tmp_path / "retouch" / "hashes.json"


def test_tensor_hash_sees_every_bit_and_the_dtype() -> None:
    base = {"a": torch.zeros(3), "b": torch.ones(2, dtype=torch.bfloat16)}
    assert hash_tensors(base) == hash_tensors(dict(reversed(base.items())))
    assert hash_tensors(base) != hash_tensors({**base, "a": torch.tensor([0.0, 0.0, 1e-45])})
    assert hash_tensors(base) != hash_tensors({**base, "a": torch.zeros(3, dtype=torch.int32)})
    assert hash_tensors({"s": torch.tensor(1.0)}) != hash_tensors({"s": torch.tensor(2.0)})
