"""CSV as people and programs write it, and as nobody should."""

from pathlib import Path

import pytest
from tests.batch.builders import base64_of, mask_png, picture_png, write_csv
from tests.memory import grows_less_than, needs_proc

from retouch.batch.places import Place
from retouch.batch.readers.csv_table import CsvTable
from retouch.batch.readers.raw import Raw
from retouch.errors import BadInput
from retouch.imaging.limits import DecodeLimits


def _table(path: Path, **limits: int) -> CsvTable:
    return CsvTable(Place.of(str(path)), DecodeLimits(**limits))


def _rows(path: Path, content: str | bytes, **limits: int) -> list[Raw]:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return list(_table(path, **limits).rows())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "in.csv"


def test_cells_that_hold_ends_of_lines_are_one_row(path: Path) -> None:
    image, mask = base64_of(picture_png()), base64_of(mask_png())
    write_csv(path, [{"image": image, "mask_image": mask, "prompt": 'a cat,\na "dog"'}] * 3, index=True)
    rows = list(_table(path).rows())
    assert len(rows) == 3
    assert rows[2].cells == {"": "2", "image": image, "mask_image": mask, "prompt": 'a cat,\na "dog"'}


def test_ends_of_lines_of_all_systems_and_a_mark_of_utf8_are_read(path: Path) -> None:
    rows = _rows(path, b'\xef\xbb\xbfprompt,seed\r\na cat,1\r\n\r\n"a\r\nhat",2\r\n')
    assert [row.cells for row in rows] == [{"prompt": "a cat", "seed": "1"}, {"prompt": "a\r\nhat", "seed": "2"}]


def test_a_row_without_its_last_end_of_line_is_read(path: Path) -> None:
    assert [row.cells["seed"] for row in _rows(path, "prompt,seed\na,1\nb,2")] == ["1", "2"]


def test_the_share_of_what_was_read_grows_to_one(path: Path) -> None:
    shares = [row.share for row in _rows(path, "prompt\n" + "a cat\n" * 10)]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("a,1,2,3", "more cells"),
        ('"a" b,1', "no CSV"),
        ('"never closed', "no CSV"),
        ("," * 200_000, "more cells"),
    ],
)
def test_a_bad_row_is_one_bad_row(path: Path, line: str, reason: str) -> None:
    rows = _rows(path, f"prompt,seed\na,1\n{line}\n")
    assert rows[0].error is None
    assert reason in str(rows[1].error)
    assert len(rows) == 2


def test_bytes_that_are_not_utf8_are_one_bad_row(path: Path) -> None:
    rows = _rows(path, b"prompt\na\n\xff\xfe\nb\n")
    assert [row.error is None for row in rows] == [True, False, True]


def test_a_row_that_is_short_is_filled_up(path: Path) -> None:
    assert _rows(path, "prompt,seed,strength\na cat\n")[0].cells == {"prompt": "a cat", "seed": "", "strength": ""}


def test_stray_quotes_inside_cells_do_not_swallow_rows(path: Path) -> None:
    rows = _rows(path, 'prompt,seed\na 12" ruler,1\na cat,2\na 5" nail,3\n')
    assert [row.cells["seed"] for row in rows] == ["1", "2", "3"]


def test_other_signs_that_unicode_takes_for_ends_of_lines_stay_in_their_cell(path: Path) -> None:
    assert [row.cells["prompt"] for row in _rows(path, "prompt\na\u2028cat\na\x0bhat\n")] == [
        "a\u2028cat",
        "a\x0bhat",
    ]


@needs_proc
def test_a_cell_of_a_hundred_megabytes_is_one_bad_row_in_little_memory(path: Path) -> None:
    with path.open("wb") as file:
        file.write(b"prompt,image\na,1\nb,")
        for _ in range(100):
            file.write(b"A" * 2**20)
        file.write(b'\nc,2\nd,"')
        for _ in range(100):
            file.write(b"A\n" * 2**19)
        file.write(b'"\ne,3\n')
    with grows_less_than(40):
        rows = list(_table(path, image_bytes=2**20).rows())
    assert [row.error is None for row in rows] == [True, False, True, False, True]
    assert "larger than" in str(rows[1].error)


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ("", "no header"),
        ("," * 2000, "more than 1000 columns"),
        ("a" * 2**21, "no header"),
        ("\ufeffimage;prompt", "semicolons"),
    ],
)
def test_a_header_that_is_none_is_refused(path: Path, header: str, reason: str) -> None:
    path.write_text(header + "\nx\n")
    with pytest.raises(BadInput, match=reason):
        _table(path).columns()


def test_a_table_in_another_encoding_is_refused(path: Path) -> None:
    path.write_text("image,prompt\n", encoding="utf-16")
    with pytest.raises(BadInput, match="header"):
        _table(path).columns()


@pytest.mark.parametrize("lines", ["\n" * 100_001, "a" + "\r" * 100_003 + "\n"])
def test_a_table_of_empty_lines_is_refused(path: Path, lines: str) -> None:
    with pytest.raises(BadInput, match="empty lines"):
        _rows(path, f"prompt\n{lines}")


def test_every_other_line_may_be_empty_however_many_there_are(path: Path) -> None:
    assert len(_rows(path, "prompt\n" + "\r\na\n" * 100_100)) == 100_100
