"""Indexes of shards: where samples lie, what was passed over, and when they are made anew."""

import json
import os
from dataclasses import asdict, replace
from pathlib import Path
from typing import IO

import pytest
from tests.data.hostile_tars import END, good, hostile_tars
from tests.data.test_shards import picture, sample, write_tar

from retouch.data import shard_index
from retouch.data.shard_index import FOLDER, open_index
from retouch.data.shard_samples import ShardSamples
from retouch.data.shards import BrokenSample, ShardReader, open_shard
from retouch.data.tar import BrokenTar
from retouch.errors import BadInput, StorageFailed


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    for number in range(3):
        keys = range(number * 10, number * 10 + 2 + number)
        write_tar(tmp_path / f"{number}.tar", [file for key in keys for file in sample(key, f"cat {key}")])
    return tmp_path


def captions(folder: Path) -> list[str]:
    index = open_index(str(folder))
    reader = ShardSamples(index, most_open=2)
    return [reader.read(shard, n).caption for shard, count in enumerate(index.counts) for n in range(count)]


def test_every_sample_is_found_where_the_stream_finds_it(shards: Path) -> None:
    streamed = [one.caption for one in ShardReader([str(shards / f"{n}.tar") for n in range(3)])]
    assert captions(shards) == streamed


def test_an_index_is_made_once(shards: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = open_index(str(shards))
    monkeypatch.setattr(shard_index, "index_shard", None)
    assert open_index(str(shards)) == first


def test_a_shard_that_changed_is_indexed_anew(shards: Path) -> None:
    before = open_index(str(shards))
    write_tar(shards / "1.tar", sample(99, "new"))
    after = open_index(str(shards))
    assert list(after.counts) == [2, 1, 4]
    assert before.digest() != after.digest()
    assert "new" in captions(shards)
    stat = (shards / "1.tar").stat()
    os.utime(shards / "1.tar", ns=(stat.st_atime_ns, stat.st_mtime_ns + 1))
    assert open_index(str(shards)).entries[1].mtime_ns == stat.st_mtime_ns + 1


def test_an_index_cut_off_by_a_kill_is_completed(shards: Path) -> None:
    whole = open_index(str(shards))
    lines = (shards / FOLDER / "index.jsonl").read_bytes().splitlines(keepends=True)
    (shards / FOLDER / "index.jsonl").write_bytes(lines[0] + lines[1][:20])
    (shards / FOLDER / "0.tar.npy").unlink()
    assert open_index(str(shards)) == whole
    assert len(captions(shards)) == 9


def test_the_digest_depends_on_the_samples_and_not_on_the_place(shards: Path, tmp_path_factory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    for file in shards.glob("*.tar"):
        (elsewhere / file.name).write_bytes(file.read_bytes())
    assert open_index(str(shards)).digest() == open_index(str(elsewhere)).digest()


def test_truncated_empty_compressed_and_missing_shards_are_named(shards: Path) -> None:
    (shards / "1.tar").write_bytes((shards / "1.tar").read_bytes()[: 512 * 8])
    (shards / "3.tar").write_bytes(b"")
    (shards / "4.tar").write_bytes(hostile_tars(good(*sample(0)))["gzip_cut_short"])
    index = open_index(str(shards / "{0..5}.tar"))
    assert list(index.counts) == [2, 1, 4, 0, 0, 0]
    assert list(index.broken()) == [
        ("1.tar", "shard: cut short", 1),
        ("3.tar", "shard: cut short", 1),
        ("4.tar", "shard: compressed, so it cannot be read at random", 1),
        ("5.tar", "shard: cannot be opened", 1),
    ]


def test_samples_without_picture_or_caption_are_counted(shards: Path) -> None:
    files = [("a.jpg", picture()), ("b.txt", b"x"), ("c.jpg", picture()), ("c.json", b'{"caption": "from json"}')]
    write_tar(shards / "1.tar", files)
    index = open_index(str(shards))
    assert index.entries[1].broken == {"no caption": 1, "no picture": 1}
    assert ShardSamples(index, most_open=1).read(1, 0).caption == "from json"


def test_a_broken_picture_is_named_with_its_shard(shards: Path) -> None:
    write_tar(shards / "1.tar", [("a.jpg", b"nonsense"), ("a.txt", b"x")])
    with pytest.raises(BrokenSample, match=r"1\.tar, sample 0: image_format"):
        ShardSamples(open_index(str(shards)), most_open=1).read(1, 0)


def test_a_shard_that_vanishes_while_it_is_read_is_a_broken_sample(shards: Path) -> None:
    reader = ShardSamples(open_index(str(shards)), most_open=1)
    (shards / "1.tar").unlink()
    with pytest.raises(BrokenSample, match=r"1\.tar, sample 0: cannot be read"):
        reader.read(1, 0)


def test_shards_without_a_sample_and_addresses_are_bad_input(tmp_path: Path) -> None:
    (tmp_path / "0.tar").write_bytes(END)
    with pytest.raises(BadInput, match="no sample"):
        open_index(str(tmp_path))
    with pytest.raises(BadInput, match="mounted"):
        open_index("s3://bucket/0.tar")


def test_what_may_be_the_fault_of_the_disk_is_tried_again(shards: Path, monkeypatch) -> None:
    def flaky(shard: str) -> IO[bytes]:
        if "1.tar" in shard:
            raise BrokenTar("cannot be read")
        return open_shard(shard)

    with monkeypatch.context() as patch:
        patch.setattr(shard_index, "open_shard", flaky)
        assert list(open_index(str(shards)).counts) == [2, 0, 4]
    assert list(open_index(str(shards)).counts) == [2, 3, 4]


@pytest.mark.parametrize("samples", [-1, 10**12, "many", 2.5])
def test_an_index_that_cannot_be_is_made_anew(shards: Path, samples: object) -> None:
    whole = open_index(str(shards))
    lines = [asdict(replace(entry, samples=samples)) for entry in whole.entries]
    (shards / FOLDER / "index.jsonl").write_text("\n".join(map(json.dumps, lines)))
    assert open_index(str(shards)) == whole


def test_an_index_that_cannot_be_written_says_where(shards: Path) -> None:
    (shards / FOLDER).write_bytes(b"a file where the folder should be")
    with pytest.raises(StorageFailed, match="cannot be written"):
        open_index(str(shards))


def test_a_folder_that_cannot_be_written_has_its_index_in_the_cache(shards: Path, monkeypatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)  # the tests may run as root
    monkeypatch.setenv("XDG_CACHE_HOME", str(shards / "cache"))
    assert len(captions(shards)) == 9
    assert not (shards / FOLDER).exists()


@pytest.mark.slow
def test_several_processes_find_what_one_finds(tmp_path: Path) -> None:
    for number in range(40):
        write_tar(tmp_path / f"{number:02d}.tar", sample(number))
    together = open_index(str(tmp_path), workers=2)
    lines = (tmp_path / FOLDER / "index.jsonl").read_text().splitlines()
    assert len([json.loads(line) for line in lines]) == 40
    for file in (tmp_path / FOLDER).iterdir():
        file.unlink()
    assert open_index(str(tmp_path)) == together


@pytest.mark.parametrize("name", hostile_tars(b""))
def test_a_hostile_shard_ends_no_index(tmp_path: Path, name: str) -> None:
    (tmp_path / "0.tar").write_bytes(hostile_tars(good(*sample(0, "first")))[name])
    (tmp_path / "1.tar").write_bytes(good(*sample(9, "after")) + END)
    index = open_index(str(tmp_path))
    assert index.counts[1] == 1
    assert list(index.broken())
