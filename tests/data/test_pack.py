import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from retouch.data.pack import decode, encode, read_pack, write_pack


def test_a_pack_returns_its_pictures_and_records(tmp_path: Path):
    blobs = [b"one", b"", b"three"]
    write_pack(tmp_path / "a.npz", blobs, [{"n": n} for n in range(3)])
    found, records = read_pack(tmp_path / "a.npz")
    assert found == blobs
    assert [record["n"] for record in records] == [0, 1, 2]
    assert records[0]["sha256"] == hashlib.sha256(b"one").hexdigest()
    assert json.loads((tmp_path / "a.json").read_text()) == records
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.json", "a.npz"]


def test_a_pack_of_pickled_arrays_is_refused(tmp_path: Path):
    evil = np.array([{"an": "object"}], dtype=object)
    np.savez(tmp_path / "a.npz", data=evil, offsets=evil, records=evil)
    with pytest.raises(ValueError, match="pickle"):
        read_pack(tmp_path / "a.npz")


def test_a_damaged_index_is_noticed(tmp_path: Path):
    data = np.frombuffer(b"abc", dtype=np.uint8)
    records = np.frombuffer(b"[{}]", dtype=np.uint8)
    np.savez(tmp_path / "a.npz", data=data, offsets=np.array([0, 9]), records=records)
    with pytest.raises(ValueError, match="damaged"):
        read_pack(tmp_path / "a.npz")


def test_pictures_and_records_must_pair(tmp_path: Path):
    with pytest.raises(ValueError, match="records"):
        write_pack(tmp_path / "a.npz", [b"x"], [])


def test_encoding_keeps_alpha_exactly_and_colours_nearly():
    rng = np.random.default_rng(0)
    picture = np.full((32, 32, 4), 120, dtype=np.uint8)
    picture[..., 3] = rng.integers(200, 256, (32, 32))
    back = decode(encode(picture), "RGBA")
    assert np.array_equal(back[..., 3], picture[..., 3])
    assert np.abs(back[..., :3].astype(int) - 120).max() <= 4
