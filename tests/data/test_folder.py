import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from retouch.data.folder import read_folder
from retouch.errors import BadInput


def save(path: Path, value: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 6), (value, value, value)).save(path)


def test_texts_beside_pictures_are_their_captions(tmp_path: Path):
    save(tmp_path / "b.png")
    save(tmp_path / "sub/a.jpg", 200)
    (tmp_path / "b.txt").write_text(" a cat \n", encoding="utf-8")
    (tmp_path / "sub/a.txt").write_text("a hat", encoding="utf-8")
    items = read_folder(tmp_path)
    assert [(item.image.name, item.caption) for item in items] == [("b.png", "a cat"), ("a.jpg", "a hat")]
    assert items[1].pixels().shape == (6, 8, 3)
    assert items[0].mask_pixels() is None


def test_a_mask_beside_a_picture_belongs_to_it(tmp_path: Path):
    save(tmp_path / "a.png")
    save(tmp_path / "a.mask.png", 255)
    (tmp_path / "a.txt").write_text("x", encoding="utf-8")
    (item,) = read_folder(tmp_path)
    mask = item.mask_pixels()
    assert mask is not None
    assert np.array_equal(mask, np.ones((6, 8), dtype=np.bool_))


@pytest.mark.parametrize("field", ["text", "caption"])
def test_metadata_of_an_imagefolder_is_read(tmp_path: Path, field: str):
    save(tmp_path / "train/1.png")
    (tmp_path / "metadata.jsonl").write_text(json.dumps({"file_name": "train/1.png", field: "a dog"}) + "\n\n")
    (item,) = read_folder(tmp_path)
    assert item.caption == "a dog"


@pytest.mark.parametrize(
    "line",
    [
        '{"file_name": "../secret.png", "text": "x"}',
        '{"file_name": "/etc/passwd", "text": "x"}',
        '{"file_name": "missing.png", "text": "x"}',
        '{"file_name": "1.png"}',
        '{"text": "x"}',
        "not json",
        '{"file_name": "1.png", "text": "x", "mask_file_name": "../secret.png"}',
    ],
)
def test_metadata_that_is_malformed_or_leads_outside_is_refused(tmp_path: Path, line: str):
    save(tmp_path / "secret.png")
    save(tmp_path / "data/1.png")
    (tmp_path / "data/metadata.jsonl").write_text(line)
    with pytest.raises(BadInput, match="line 1"):
        read_folder(tmp_path / "data")


def test_a_link_that_leads_outside_is_refused(tmp_path: Path):
    save(tmp_path / "secret.png")
    (tmp_path / "data").mkdir()
    (tmp_path / "data/1.png").symlink_to(tmp_path / "secret.png")
    (tmp_path / "data/metadata.jsonl").write_text('{"file_name": "1.png", "text": "x"}')
    with pytest.raises(BadInput, match="outside"):
        read_folder(tmp_path / "data")


@pytest.mark.parametrize(
    "line",
    [
        b"[" * 10_000,
        b'{"file_name": "a\\u0000.png", "text": "x"}',
        b'{"file_name": "' + b"a" * 10_000 + b'", "text": "x"}',
        b'{"file_name": "1.png", "text": "\xff"}',
        b'{"file_name": "1.png", "text": "' + b"x" * 2**21 + b'"}',
        b'{"file_name": "loop.png", "text": "x"}',
    ],
    ids=["deep", "nul", "long name", "no utf-8", "long line", "ring of links"],
)
def test_hostile_metadata_is_refused(tmp_path: Path, line: bytes):
    save(tmp_path / "1.png")
    (tmp_path / "loop.png").symlink_to(tmp_path / "loop.png")
    (tmp_path / "metadata.jsonl").write_bytes(line)
    with pytest.raises(BadInput, match="line 1"):
        read_folder(tmp_path)


@pytest.mark.parametrize("caption", [b"caf\xe9", b"x" * 2**21])
def test_a_caption_that_is_no_short_text_is_refused(tmp_path: Path, caption: bytes):
    save(tmp_path / "a.png")
    (tmp_path / "a.txt").write_bytes(caption)
    with pytest.raises(BadInput, match=r"a\.txt"):
        read_folder(tmp_path)


@pytest.mark.parametrize("name", ["a.png", "a.txt", "a.mask.png"])
def test_a_file_that_is_a_link_to_outside_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str):
    (tmp_path / "data").mkdir()
    for inside in ("a.png", "a.mask.png"):
        save(tmp_path / "data" / inside)
    (tmp_path / "data/a.txt").write_text("x")
    monkeypatch.chdir(tmp_path)
    assert len(read_folder(Path("data"))) == 1
    (tmp_path / "data" / name).rename(tmp_path / f"secret-{name}")
    (tmp_path / "data" / name).symlink_to(tmp_path / f"secret-{name}")
    with pytest.raises(BadInput, match="outside"):
        read_folder(Path("data"))


def test_a_picture_without_a_caption_is_named_with_the_way_out(tmp_path: Path):
    for name in ("a.png", "b.png"):
        save(tmp_path / name)
    (tmp_path / "a.txt").write_text("a cat")
    with pytest.raises(BadInput, match=r"b\.png") as caught:
        read_folder(tmp_path)
    assert "`caption:`" in caught.value.hint
    assert [item.caption for item in read_folder(tmp_path, caption="a photo")] == ["a cat", "a photo"]


@pytest.mark.parametrize("name", ["a_mask.png", "a-Mask.JPG", "a.mask.jpg", "a mask.png"])
def test_a_mask_by_another_name_is_no_picture_that_takes_the_default_caption(tmp_path: Path, name: str):
    save(tmp_path / "a.jpg")
    save(tmp_path / "b_mask.png")  # of a carnival, for all that its name says
    save(tmp_path / name)
    with pytest.raises(BadInput, match=r"looks like the mask of a\.jpg") as caught:
        read_folder(tmp_path, caption="a photo")
    assert "a.mask.png" in caught.value.hint
    (tmp_path / name).with_suffix(".txt").write_text("a mask of wood")
    assert len(read_folder(tmp_path, caption="a photo")) == 3


def test_a_row_without_a_caption_takes_the_default(tmp_path: Path):
    save(tmp_path / "1.png")
    (tmp_path / "metadata.jsonl").write_text('{"file_name": "1.png"}')
    assert [item.caption for item in read_folder(tmp_path, caption="a photo")] == ["a photo"]


def test_what_systems_hide_in_folders_is_no_picture(tmp_path: Path):
    save(tmp_path / "a.png")
    (tmp_path / "a.txt").write_text("a cat")
    save(tmp_path / ".thumbnails/a.png")
    (tmp_path / "._a.png").write_bytes(b"nonsense")
    assert [item.image.name for item in read_folder(tmp_path)] == ["a.png"]


def test_pictures_as_phones_keep_them_are_named_not_passed_over(tmp_path: Path):
    save(tmp_path / "a.png")
    (tmp_path / "IMG_1.HEIC").write_bytes(b"ftypheic")
    with pytest.raises(BadInput, match=r"IMG_1\.HEIC"):
        read_folder(tmp_path, caption="a photo")


def test_a_folder_without_pictures_says_what_is_missing(tmp_path: Path):
    with pytest.raises(BadInput) as caught:
        read_folder(tmp_path)
    assert "metadata.jsonl" in caught.value.hint
    with pytest.raises(BadInput, match="not a folder"):
        read_folder(tmp_path / "nowhere")
