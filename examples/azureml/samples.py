"""The pictures of these examples as requests and tables, and answers as pictures: for the shell scripts.

python samples.py request FILE           a request of two rows for the online endpoint
python samples.py tables FOLDER          tables of two rows for the batch endpoint
python samples.py save FILE FOLDER       the pictures of an answer (JSON), or of predictions (CSV)
"""

import base64
import csv
import json
import sys
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).parent
PROMPTS = ("a red apple", "a blue boat", "a green leaf")
ROWS_A_TABLE = 2


def rows() -> list[dict[str, str]]:
    """Return a row for each prompt, as the card has them; white pixels of the mask are repainted."""
    image, mask = (
        base64.encodebytes((HERE.parent / name).read_bytes()).decode()
        for name in ("sample.png", "sample-mask.png")
    )
    return [{"image": image, "mask_image": mask, "prompt": prompt} for prompt in PROMPTS]


def write_request(path: Path) -> None:
    """Write the body of a request to `/score`."""
    asked = rows()[:2]
    body = {"input_data": {"columns": list(asked[0]), "index": [0, 1], "data": asked}}
    path.write_text(json.dumps(body), encoding="utf-8")


def write_tables(folder: Path) -> None:
    """Write CSV files of a few rows each: a file is what a batch deployment gives to one process."""
    folder.mkdir(parents=True, exist_ok=True)
    asked = rows()
    for first in range(0, len(asked), ROWS_A_TABLE):
        with (folder / f"{first}batch_input.csv").open("w", newline="", encoding="utf-8") as file:
            table = csv.DictWriter(file, list(asked[0]))
            table.writeheader()
            table.writerows(asked[first : first + ROWS_A_TABLE])


def save(answer: Path, folder: Path) -> None:
    """Write the pictures of an answer."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, picture in pictures(answer):
        (folder / name).write_bytes(base64.b64decode(picture, validate=True))
        print(folder / name)


def pictures(answer: Path) -> Iterator[tuple[str, str]]:
    """Yield a name and base64 for each picture; a row without one is told."""
    if answer.suffix == ".csv":
        csv.field_size_limit(2**27)
        with answer.open(newline="", encoding="utf-8") as file:
            found = [(f"{Path(table).stem}-{row}", cell) for row, cell, _, table in csv.reader(file)]
    else:
        entries = json.loads(answer.read_text(encoding="utf-8"))
        if isinstance(entries, str):  # `az ... -o json` puts the answer into a string
            entries = json.loads(entries)
        found = [(str(row), entry["generated_image"]) for row, entry in enumerate(entries)]
    for name, cell in found:
        if cell and not cell.startswith("Blocked"):
            yield f"{name}.png", cell
        else:
            print(f"{name}: {cell or 'no picture'}", file=sys.stderr)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["request", file]:
            write_request(Path(file))
        case ["tables", folder]:
            write_tables(Path(folder))
        case ["save", file, folder]:
            save(Path(file), Path(folder))
        case _:
            sys.exit(__doc__)
