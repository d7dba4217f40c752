import io
import json
import pickle
import tarfile
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.data.hostile_tars import END, good, hostile_tars
from tests.fuzz import check

from retouch.data.shards import Position, ShardReader, expand
from retouch.errors import BadInput
from retouch.imaging.limits import DecodeLimits


def picture(kind: str = "JPEG", side: int = 16, value: int = 100) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (side, side), (value, value, value)).save(buffer, kind)
    return buffer.getvalue()


def write_tar(path: Path, files: list[tuple[str, bytes]]) -> Path:
    with tarfile.open(path, "w") as tar:
        for name, data in files:
            add(tar, name, data)
    return path


def add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(data)
    tar.addfile(member, io.BytesIO(data))


def sample(key: int, caption: str = "a cat", value: int = 100) -> list[tuple[str, bytes]]:
    stem = f"{key:09d}"
    metadata = json.dumps({"key": stem, "original_width": 640}).encode()
    return [(f"{stem}.jpg", picture(value=value)), (f"{stem}.json", metadata), (f"{stem}.txt", caption.encode())]


def test_a_shard_of_img2dataset_is_read_in_order(tmp_path: Path):
    shard = write_tar(tmp_path / "00000.tar", [f for key in range(3) for f in sample(key, f"cat {key}")])
    reader = ShardReader([str(shard)])
    found = list(reader)
    assert [s.caption for s in found] == ["cat 0", "cat 1", "cat 2"]
    assert found[0].image.shape == (16, 16, 3)
    assert found[0].metadata["original_width"] == 640
    assert found[0].mask is None
    assert reader.tally.read == 3
    assert not reader.tally.broken


def test_reading_resumes_behind_the_last_sample_over_shards(tmp_path: Path):
    shards = [
        str(write_tar(tmp_path / f"{n}.tar", [f for key in range(4) for f in sample(key, f"{n}-{key}")]))
        for n in range(3)
    ]
    everything = [s.caption for s in ShardReader(shards)]
    for stop in range(1, 12):
        iterator = iter(ShardReader(shards))
        first = [next(iterator) for _ in range(stop)]
        rest = ShardReader(shards, start=first[-1].position)
        assert [s.caption for s in (*first, *rest)] == everything


def test_resuming_counts_broken_samples_too(tmp_path: Path):
    files = [*sample(0), ("000000001.jpg", b"broken"), ("000000001.txt", b"x"), *sample(2, "last")]
    shard = str(write_tar(tmp_path / "0.tar", files))
    assert [s.caption for s in ShardReader([shard], start=Position(0, 1))] == ["last"]


def test_broken_samples_are_passed_over_and_counted_by_reason(tmp_path: Path):
    files = [
        *sample(0),
        ("000000001.jpg", picture()[:100]),
        ("000000001.txt", b"cut short"),
        ("000000002.txt", b"no picture"),
        ("000000003.jpg", picture()),
        ("000000004.jpg", picture()),
        ("000000004.json", b"{not json"),
        ("000000004.txt", b"x"),
        ("000000005.jpg", picture()),
        ("000000005.json", b"[1, 2]"),
        *sample(6),
    ]
    reader = ShardReader([str(write_tar(tmp_path / "0.tar", files))])
    assert [s.key for s in reader] == ["000000000", "000000006"]
    assert reader.tally.broken == {"image_invalid": 1, "no picture": 1, "no caption": 1, "bad json": 2}


def test_the_caption_may_stand_in_the_json_alone(tmp_path: Path):
    files = [("0.jpg", picture()), ("0.json", json.dumps({"caption": " a hat "}).encode())]
    assert next(iter(ShardReader([str(write_tar(tmp_path / "0.tar", files))]))).caption == "a hat"


def test_a_mask_is_read_as_true_where_white_and_must_fit(tmp_path: Path):
    mask = np.zeros((16, 16), dtype=np.uint8)
    mask[4:8] = 255
    good, small = io.BytesIO(), io.BytesIO()
    Image.fromarray(mask).save(good, "PNG")
    Image.fromarray(mask[:8]).save(small, "PNG")
    files = [
        *sample(0),
        ("000000000.mask.png", good.getvalue()),
        *sample(1),
        ("000000001.mask.png", small.getvalue()),
    ]
    reader = ShardReader([str(write_tar(tmp_path / "0.tar", files))])
    found = list(reader)
    assert len(found) == 1
    assert found[0].mask is not None
    assert np.array_equal(found[0].mask, mask > 0)
    assert reader.tally.broken == {"mask of another size": 1}


class Bomb:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self):
        return Path.write_text, (self.target, "boom")


def test_a_hostile_tar_runs_writes_and_follows_nothing(tmp_path: Path):
    outside = tmp_path / "outside.txt"
    secret = tmp_path / "secret.jpg"
    secret.write_bytes(picture())
    shard = tmp_path / "0.tar"
    with tarfile.open(shard, "w") as tar:
        for kind, name in (
            (tarfile.SYMTYPE, "000000001.jpg"),
            (tarfile.LNKTYPE, "000000002.jpg"),
            (tarfile.FIFOTYPE, "3.jpg"),
        ):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, str(secret)
            tar.addfile(member)
        add(tar, "../../evil.jpg", picture())
        add(tar, "/etc/evil.jpg", picture())
        for ending in ("pyd", "pickle", "pkl", "npy", "pth"):
            add(tar, f"000000004.{ending}", pickle.dumps(Bomb(outside)))
        for name, data in sample(5):
            add(tar, name, data)
    before = sorted(tmp_path.rglob("*"))
    reader = ShardReader([str(shard)])
    assert [s.key for s in reader] == ["000000005"]
    assert reader.tally.broken["not a plain file"] == 5
    assert not outside.exists()
    assert sorted(tmp_path.rglob("*")) == before


def test_files_and_pictures_over_a_limit_are_not_decoded(tmp_path: Path):
    files = [("0.jpg", picture(side=64)), ("0.txt", b"large"), *sample(1)]
    shard = str(write_tar(tmp_path / "0.tar", files))
    reader = ShardReader([shard], limits=DecodeLimits(image_pixels=32 * 32))
    assert len(list(reader)) == 1
    assert reader.tally.broken == {"image_too_large": 1}
    reader = ShardReader([shard], limits=DecodeLimits(image_bytes=10))
    assert not list(reader)
    assert reader.tally.broken["file too large"] == 2


def test_a_truncated_shard_gives_what_it_has_and_the_next_goes_on(tmp_path: Path):
    first = write_tar(tmp_path / "0.tar", [f for key in range(4) for f in sample(key)])
    first.write_bytes(first.read_bytes()[: 512 * 13])
    second = write_tar(tmp_path / "1.tar", sample(9, "after"))
    reader = ShardReader([str(first), str(second), str(tmp_path / "missing.tar")])
    found = [s.caption for s in reader]
    assert found[-1] == "after"
    assert len(found) >= 2
    assert sum(reader.tally.broken.values()) >= 2


def test_patterns_and_folders_expand_in_order(tmp_path: Path):
    assert expand("s3://b/{00008..00011}.tar") == [f"s3://b/{n:05d}.tar" for n in (8, 9, 10, 11)]
    for name in ("b.tar", "a.tar", "c.txt"):
        (tmp_path / name).touch()
    assert expand(str(tmp_path)) == [str(tmp_path / "a.tar"), str(tmp_path / "b.tar")]
    assert expand("one.tar") == ["one.tar"]


def test_an_absurd_range_and_an_empty_folder_are_refused(tmp_path: Path):
    with pytest.raises(BadInput):
        expand("{0..99999999}.tar")
    with pytest.raises(BadInput):
        expand(str(tmp_path))


def test_shards_are_read_through_a_url_as_well(tmp_path: Path):
    shard = write_tar(tmp_path / "0.tar", sample(0))
    assert len(list(ShardReader([f"file://{shard}"]))) == 1


@pytest.mark.parametrize("name", hostile_tars(b""))
def test_a_hostile_shard_is_counted_and_left_and_the_next_is_read(tmp_path: Path, name: str):
    (tmp_path / "0.tar").write_bytes(hostile_tars(good(*sample(0, "first")))[name])
    (tmp_path / "1.tar").write_bytes(good(*sample(9, "after")) + END)
    reader = ShardReader(expand(str(tmp_path)), limits=DecodeLimits(image_bytes=2**20))
    began = time.process_time()
    captions = [s.caption for s in reader]
    assert time.process_time() - began < 5
    assert captions[-1] == "after"
    assert len(captions) == reader.tally.read
    assert reader.tally.broken
    assert all(len(reason) < 40 for reason in reader.tally.broken)


def test_a_shard_whose_writer_was_killed_gives_its_whole_samples(tmp_path: Path):
    whole = good(*sample(0, "first"), *sample(1, "second"))
    for cut in range(0, len(whole), 256):
        (tmp_path / "0.tar").write_bytes(whole[:cut])
        reader = ShardReader([str(tmp_path / "0.tar")])
        assert [s.caption for s in reader] == ["first", "second"][: reader.tally.read]
        assert reader.tally.broken["shard: cut short"] == 1


def test_samples_without_a_caption_are_counted(tmp_path: Path):
    files = [("1.jpg", picture()), ("1.json", b"{}"), *sample(2), ("3.jpg", picture())]
    reader = ShardReader([str(write_tar(tmp_path / "0.tar", files))])
    assert len(list(reader)) == 1
    assert reader.tally.broken == {"no caption": 2}


def test_files_of_no_use_are_not_read_however_large(tmp_path: Path):
    files = [*sample(0), ("000000000.npy", bytes(5 * 2**20)), ("000000000.txt.bak", b"x"), *sample(1)]
    reader = ShardReader([str(write_tar(tmp_path / "0.tar", files))], limits=DecodeLimits(image_bytes=2**20))
    assert len(list(reader)) == 2
    assert not reader.tally.broken


@pytest.mark.parametrize("mode", ["w:gz", "w:bz2"])
def test_compressed_shards_are_read(tmp_path: Path, mode: str):
    with tarfile.open(tmp_path / "0.tar", mode) as tar:
        for name, data in sample(0, "packed"):
            add(tar, name, data)
    assert [s.caption for s in ShardReader([str(tmp_path / "0.tar")])] == ["packed"]


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_long_names_are_read_in_every_form(tmp_path: Path, form: int):
    folder = "/".join(["a" * 60] * (2 if form == tarfile.USTAR_FORMAT else 4))
    with tarfile.open(tmp_path / "0.tar", "w", format=form) as tar:
        for name, data in sample(0):
            add(tar, f"{folder}/{name}", data)
    assert [s.key for s in ShardReader([str(tmp_path / "0.tar")])] == [f"{folder}/000000000"]


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is bounded by /proc")
def test_some_broken_shards_never_end_a_run(capsys: pytest.CaptureFixture[str]) -> None:
    check("tests.data.fuzz_cases:shards", 200, capsys)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is bounded by /proc")
def test_two_thousand_broken_shards_never_end_a_run(capsys: pytest.CaptureFixture[str]) -> None:
    check("tests.data.fuzz_cases:shards", 2_000, capsys)
