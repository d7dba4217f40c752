"""Results in other forms: whole, in the order of the input, safe to open."""

import base64
import csv
import json
from contextlib import closing
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from tests.batch.builders import batch_of, inline_row, results_of, stand_in, temporaries_of, write_csv

from retouch.batch.job import run_batch, write_results
from retouch.batch.ledger import NAME, Ledger
from retouch.batch.places import Place
from retouch.batch.projections.csv import safe
from retouch.batch.rows import Columns
from retouch.data.tar import TarStream
from retouch.errors import BadInput
from retouch.imaging.decode import decode_picture

FORMATS = ("azure", "csv", "parquet", "webdataset", "sheet")
AZURE_NAMES = ["row_number_per_file", "image_file_name", "nsfw_content_detected", "input_csv_name"]


@pytest.fixture
def output(tmp_path: Path) -> Path:
    """The output over a folder as the card's notebook writes it, with one bad row."""
    folder = tmp_path / "processed_batch_data"
    for first in (0, 2):
        rows = [inline_row(first + k, f"prompt {first + k}", note="=1+1") for k in range(2)]
        write_csv(folder / f"{first}batch_input.csv", rows, index=True)
    bad = [inline_row(4, note="-") | {"image": "?"}]
    write_csv(folder / "4batch_input.csv", bad, index=True)
    batch = batch_of(folder, tmp_path / "out", formats=FORMATS, columns=Columns(keep_extra=True))
    run_batch(batch, lambda: stand_in(batch))
    return tmp_path / "out"


def _rows_of_azure(output: Path) -> list[list[str]]:
    csv.field_size_limit(2**30)
    with (output / "predictions.csv").open(newline="") as file:
        return list(csv.reader(file))


def test_the_azure_form_is_the_one_that_the_notebook_reads(output: Path) -> None:
    rows = _rows_of_azure(output)
    assert [[row[0], row[2], row[3]] for row in rows] == [
        ["0", "False", "0batch_input.csv"],
        ["1", "False", "0batch_input.csv"],
        ["0", "False", "2batch_input.csv"],
        ["1", "False", "2batch_input.csv"],
        ["0", "", "4batch_input.csv"],
    ]
    files = [output / line["file"] for line in results_of(output) if line["file"]]
    assert [base64.b64decode(row[1]) for row in rows[:4]] == [path.read_bytes() for path in files]


def test_pandas_reads_the_azure_form_by_the_names_of_the_notebook(output: Path) -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.read_csv(output / "predictions.csv", header=None, names=AZURE_NAMES)
    assert frame["row_number_per_file"].tolist() == [0, 1, 0, 1, 0]
    assert frame["input_csv_name"].tolist()[-1] == "4batch_input.csv"
    assert frame["nsfw_content_detected"].tolist()[:4] == [False] * 4
    picture = decode_picture(base64.b64decode(frame["image_file_name"][0]))
    assert (picture.height, picture.width) == (8, 8)


def test_azure_files_names_the_pictures(output: Path) -> None:
    with closing(Ledger.read(output / NAME)) as ledger:
        write_results(output, ledger, ("azure-files",))
    assert [row[1] for row in _rows_of_azure(output)][:2] == [line["file"] for line in results_of(output)][:2]


def test_csv_and_parquet_hold_the_same(output: Path) -> None:
    with (output / "results.csv").open(newline="") as file:
        told = list(csv.DictReader(file))
    table = pq.read_table(output / "results.parquet").to_pylist()
    assert [line["id"] for line in told] == [line["id"] for line in table] == ["0", "1", "2", "3", "4"]
    assert table[4]["error_code"] == "bad_row"
    assert json.loads(told[0]["extra"]) == {"note": "=1+1"}


def test_no_cell_is_a_formula_where_that_is_wanted(output: Path) -> None:
    assert [safe(cell) for cell in ("=1+1", "+1", "-1", "@x", "\tx", "a=1", 5, None)] == [
        "'=1+1",
        "'+1",
        "'-1",
        "'@x",
        "'\tx",
        "a=1",
        5,
        None,
    ]


def test_shards_hold_each_picture_beside_its_result(output: Path) -> None:
    with closing(Place.of(str(output / "shards" / "000000.tar")).open()) as file:
        found = {member.name: len(tar.content(member)) for tar in [TarStream(file)] for member in tar}
    lines = [line for line in results_of(output) if line["file"]]
    sizes = {f"{line['row']:09d}.png": (output / line["file"]).stat().st_size for line in lines}
    assert {name: size for name, size in found.items() if name.endswith(".png")} == sizes
    assert [name for name in found if name.endswith(".json")] == [f"{line['row']:09d}.json" for line in lines]


def test_the_sheet_shows_the_pictures(output: Path) -> None:
    assert decode_picture(output / "sheet.png").width > 4 * 128


def test_a_picture_that_is_gone_is_told(output: Path) -> None:
    (output / results_of(output)[0]["file"]).unlink()
    before = (output / "predictions.csv").read_bytes()
    with closing(Ledger.read(output / NAME)) as ledger, pytest.raises(BadInput, match="not there any more"):
        write_results(output, ledger, ("azure",))
    assert (output / "predictions.csv").read_bytes() == before
    assert temporaries_of(output) == []
