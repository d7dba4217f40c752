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
    save(tmp_path / "lonely.png")
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


def test_a_folder_without_captions_says_what_is_missing(tmp_path: Path):
    save(tmp_path / "a.png")
    with pytest.raises(BadInput) as caught:
        read_folder(tmp_path)
    assert "metadata.jsonl" in caught.value.hint
    with pytest.raises(BadInput, match="not a folder"):
        read_folder(tmp_path / "nowhere")
