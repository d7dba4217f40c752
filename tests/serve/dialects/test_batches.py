"""Batches in our own words: what comes in, what is shown, whose it is, and what it may be at most."""

import csv
import io
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.batch.builders import inline_row, mask_png, picture_png, write_csv, write_jsonl
from tests.serve.serving import Served, served, until

MINE, OTHER = ({"authorization": f"Bearer {key}"} for key in ("0123456789abcdef", "fedcba9876543210"))
KEYS = "one:0123456789abcdef,two:fedcba9876543210"


def table(rows: int = 3, **more: Any) -> bytes:
    """JSONL with pictures in it."""
    return "".join(json.dumps(inline_row(number, **more)) + "\n" for number in range(rows)).encode()


def send(
    client: httpx.Client, data: bytes, *, headers: dict[str, str] | None = None, **fields: Any
) -> httpx.Response:
    form = {"num_inference_steps": "1"} | {name: str(value) for name, value in fields.items()}
    return client.post("/v1/batches", data=form, files={"input": ("t", data)}, headers=headers)


def ended(client: httpx.Client, answer: httpx.Response) -> dict[str, Any]:
    """Wait for the end of a batch that was taken in, and return its view."""
    assert answer.status_code == 202, answer.text
    place, headers = answer.headers["location"], dict(answer.request.headers)
    mine = {"authorization": headers["authorization"]} if "authorization" in headers else {}

    def view() -> dict[str, Any]:
        found: dict[str, Any] = client.get(place, headers=mine).json()
        return found

    until(lambda: view()["state"] not in ("queued", "running"), within_s=60)
    return view()


def results(client: httpx.Client, view: dict[str, Any], **more: Any) -> list[dict[str, Any]]:
    return [json.loads(line) for line in client.get(view["results_url"], **more).text.splitlines()]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the deployer declares: a table beside pictures, and links that lead out."""
    outside = tmp_path_factory.mktemp("outside")
    (outside / "secret.png").write_bytes(picture_png(9))
    write_jsonl(outside / "table.jsonl", [inline_row()])
    root = tmp_path_factory.mktemp("root")
    (root / "job").mkdir()
    (root / "job" / "a.png").write_bytes(picture_png(1))
    (root / "shared.png").write_bytes(picture_png(2))
    (root / "mask.png").write_bytes(mask_png())
    (root / "job" / "out.png").symlink_to(outside / "secret.png")
    (root / "job" / "m.png").symlink_to(root / "mask.png")
    (root / "linked").mkdir()
    (root / "linked" / "table.jsonl").symlink_to(outside / "table.jsonl")
    (root / "out").symlink_to(outside)
    names = ("a.png", str(root / "shared.png"), "out.png", str(outside / "secret.png"), "../shared.png")
    rows = [{"image": name, "mask_image": str(root / "mask.png"), "prompt": "a cat"} for name in names]
    write_csv(root / "job" / "table.csv", rows)
    (root / "job" / "out.png").unlink()
    (root / "other").mkdir()
    (root / "other" / "out.png").symlink_to(outside / "secret.png")
    return root


@pytest.fixture(scope="module")
def running(checkpoint: Path, root: Path) -> Iterator[Served]:
    with served(checkpoint, safety="off", batch_root=root, batch_rows=50, per_key_per_minute=0) as running:
        yield running


@pytest.fixture(scope="module")
def client(running: Served) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=running.url, timeout=60) as client:
        yield client


def test_a_table_is_painted_and_its_pictures_are_fetched(client: httpx.Client) -> None:
    view = ended(client, send(client, table(3, seed=7), prompt="a cat"))
    assert view["state"] == "done"
    assert view["rows"] == {"total": 3, "done": 3, "failed": 0, "blocked": 0}
    assert "folder" not in view["request"]
    found = results(client, view)
    assert [line["row"] for line in found] == [0, 1, 2]
    assert all(line["kept_pixels_identical"] and line["seed"] == 7 for line in found)
    for line in found:
        picture = client.get(f"{view['url']}/files/{line['file']}")
        assert picture.headers["content-type"] == "image/png"
        assert picture.content.startswith(b"\x89PNG")


def test_results_come_in_azures_form_and_as_a_table(client: httpx.Client) -> None:
    view = ended(client, send(client, table(2)))
    predictions = list(csv.reader(io.StringIO(client.get(view["results_url"], params={"format": "azure"}).text)))
    assert [(line[0], line[3]) for line in predictions] == [("0", "input.jsonl"), ("1", "input.jsonl")]
    assert predictions[0][1].startswith("iVBORw0KGgo")
    named = client.get(view["results_url"], params={"format": "azure-files"})
    assert named.headers["content-type"].startswith("text/csv")
    assert "pictures/000000/000000000.png" in named.text
    lines = list(csv.DictReader(io.StringIO(client.get(view["results_url"], params={"format": "csv"}).text)))
    assert [line["status"] for line in lines] == ["done", "done"]
    assert client.get(view["results_url"], params={"format": "sheet"}).status_code == 422


def test_azures_form_holds_png_alone(client: httpx.Client) -> None:
    view = ended(client, send(client, table(1), format="webp"))
    assert results(client, view)[0]["file"].endswith(".webp")
    assert client.get(view["results_url"], params={"format": "azure"}).status_code == 422


@pytest.mark.parametrize("kind", ["csv", "tar"])
def test_every_kind_of_table_is_known_by_its_beginning(client: httpx.Client, tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"t.{kind}"
    if kind == "csv":
        write_csv(path, [inline_row()], index=True)
    else:
        with tarfile.open(path, "w") as tar:
            for name, data in (("a.png", picture_png()), ("a.mask.png", mask_png()), ("a.txt", b"a cat")):
                member = tarfile.TarInfo(name)
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
    view = ended(client, send(client, path.read_bytes()))
    assert view["rows"] == {"total": 1, "done": 1, "failed": 0, "blocked": 0}
    assert view["request"]["input"] == {"sent": f"input.{kind}"}


def test_one_mask_and_one_prompt_serve_all_rows(client: httpx.Client) -> None:
    row = {"image": inline_row()["image"]}
    form = {"prompt": "a cat", "num_inference_steps": "1", "seed": "5"}
    files = {"input": json.dumps(row).encode(), "mask_image": mask_png()}
    view = ended(client, client.post("/v1/batches", data=form, files=files))
    assert view["rows"]["done"] == 1
    assert view["request"]["seed"] == 5


def test_a_bad_row_fails_alone(client: httpx.Client) -> None:
    rows = [inline_row(0), {**inline_row(1), "image": "%%%"}, {**inline_row(2), "image": "/etc/passwd.png"}]
    view = ended(client, send(client, "".join(json.dumps(row) + "\n" for row in rows).encode()))
    assert view["state"] == "done"
    assert view["rows"] == {"total": 3, "done": 1, "failed": 2, "blocked": 0}
    assert [line["status"] for line in results(client, view)] == ["done", "failed", "failed"]


def test_too_many_bad_rows_end_the_batch(client: httpx.Client) -> None:
    view = ended(client, send(client, b'{"image": "%%%"}\n' * 20, max_failures=2))
    assert (view["state"], view["error"]["code"]) == ("failed", "too_many_failures")


def test_a_path_below_the_root_is_read_and_nothing_outside_of_it(client: httpx.Client, root: Path) -> None:
    fields = {"num_inference_steps": 1}
    view = ended(client, client.post("/v1/batches", json={"path": "job/table.csv", **fields}))
    found = results(client, view)
    assert [line["status"] for line in found] == ["done", "done", "failed", "failed", "failed"]
    assert str(root.parent) not in client.get(view["results_url"]).text.replace(str(root), "")


@pytest.mark.parametrize(
    "path",
    [
        *("../outside", "/etc", "/etc/passwd", "out", "out/table.jsonl", "linked", "linked/table.jsonl"),
        *(
            "job/../../x",
            "nothing.csv",
            "file:///etc/passwd",
            "s3://bucket/t.csv",
            "a::b",
            "x\0y",
            "",
            "{0..9}.csv",
        ),
        *("..\\x", "other", "~", "." * 5000, 7, None, ["job"]),
    ],
)
def test_a_path_out_of_the_root_is_refused(client: httpx.Client, path: object) -> None:
    answer = client.post("/v1/batches", json={"path": path})
    assert answer.status_code == 422, answer.text
    assert "secret" not in answer.text


def test_without_a_root_no_path_is_read(tiny: Served, tmp_path: Path) -> None:
    write_jsonl(tmp_path / "t.jsonl", [inline_row()])
    answer = httpx.post(f"{tiny.url}/v1/batches", json={"path": str(tmp_path / "t.jsonl")})
    assert (answer.status_code, answer.json()["error"]["field"]) == (422, "path")
    with httpx.Client(base_url=tiny.url) as client:
        rows = [{**inline_row(), "image": name} for name in ("a.png", "/etc/a.png", "https://example.org/a.png")]
        view = ended(client, send(client, "".join(json.dumps(row) + "\n" for row in rows).encode()))
        assert view["rows"]["failed"] == 3


@pytest.mark.parametrize(
    ("data", "fields", "status", "word"),
    [
        (table(51), {}, 413, "rows"),
        (b"a,b\n1,2\n", {}, 422, "column"),
        (b"", {}, 422, "header"),
        (b"PK\x03\x04" + bytes(99), {}, 415, "zip"),
        (b"\x1f\x8b" + bytes(99), {}, 415, "gzip"),
        (b"PAR1" + bytes(99), {}, 415, "Parquet"),
        (table(), {"colour": "red"}, 422, "colour"),
        (table(), {"num_inference_steps": "999"}, 422, "num_inference_steps"),
        (table(), {"scheduler": "Nobody"}, 422, "scheduler"),
        (table(), {"format": "gif"}, 422, "format"),
        (table(), {"input_format": "xlsx"}, 422, "input_format"),
        (table(), {"seed": "-1"}, 422, "seed"),
        (table(), {"max_failures": "x"}, 422, "max_failures"),
        (table(), {"extra_columns": "drop"}, 422, "extra_columns"),
        (table(), {"path": "job"}, 422, "input"),
    ],
)
def test_what_cannot_be_done_is_refused_before_anything_waits(
    client: httpx.Client, data: bytes, fields: dict[str, str], status: int, word: str
) -> None:
    before = client.get("/v1/batches").json()
    answer = send(client, data, **fields)
    assert (answer.status_code, word in answer.text) == (status, True), answer.text
    assert client.get("/v1/batches").json() == before


def test_a_refused_batch_leaves_no_files(client: httpx.Client, running: Served) -> None:
    files = running.service.settings.jobs_folder
    assert files is not None
    before = set((files / "batches" / "files").iterdir())
    assert send(client, table(51)).status_code == 413
    assert set((files / "batches" / "files").iterdir()) == before


def test_the_check_cannot_be_switched_off_by_a_form_or_by_a_row(checkpoint: Path) -> None:
    with served(checkpoint, checkers=[]) as strict, httpx.Client(base_url=strict.url, timeout=60) as client:
        assert send(client, table(1), safety="off").status_code == 422
        view = ended(client, send(client, table(1, safety="off")))
        assert results(client, view)[0]["error"]["code"] == "invalid_field"


@pytest.mark.parametrize(
    "name",
    [
        *("ledger.sqlite", "results.jsonl", "../input.jsonl", "pictures/000000/../../ledger.sqlite", "pictures"),
        *("pictures/000000/.x.tmp", "/etc/passwd", "pictures/000000/000000000.png/x", "%2e%2e/begun.json"),
        "pictures/000000/000000099.png",
    ],
)
def test_no_other_file_is_handed_out(client: httpx.Client, name: str) -> None:
    view = ended(client, send(client, table(1)))
    answer = client.get(f"{view['url']}/files/{name}")
    assert answer.status_code == 404


def test_the_same_key_with_the_same_table_is_the_same_batch(client: httpx.Client) -> None:
    once = {"idempotency-key": "batch-1"}
    first, again = send(client, table(1), headers=once), send(client, table(1), headers=once)
    assert first.json()["id"] == again.json()["id"]
    assert send(client, table(2), headers=once).status_code == 409
    assert send(client, table(1), headers=once, seed=1).status_code == 409


def test_a_batch_is_cancelled_and_keeps_what_is_done(client: httpx.Client) -> None:
    taken = send(client, table(50), num_inference_steps=150)
    place = taken.headers["location"]
    until(lambda: client.get(place).json()["state"] == "running")
    assert client.delete(place).json()["state"] == "cancelled"
    assert client.delete(place).status_code == 409
    view = ended(client, taken)
    assert view["rows"]["done"] < 50
    assert ended(client, send(client, table(1)))["state"] == "done"  # and the next one has its turn
    assert len(results(client, view)) == client.get(place).json()["rows"]["done"]


def test_a_batch_that_waits_is_cancelled(client: httpx.Client) -> None:
    first, second = send(client, table(50), num_inference_steps=150), send(client, table(50))
    assert client.delete(second.headers["location"]).json()["state"] == "cancelled"
    assert client.get(second.json()["results_url"]).text == ""
    client.delete(first.headers["location"])


def test_batches_are_listed_newest_first_and_are_no_jobs(client: httpx.Client) -> None:
    ids = [ended(client, send(client, table(1)))["id"] for _ in range(2)]
    page = client.get("/v1/batches", params={"limit": 1}).json()
    assert ([one["id"] for one in page["batches"]], page["next_after"]) == (ids[:0:-1], ids[1])
    after = client.get("/v1/batches", params={"limit": 1, "after": ids[1], "state": "done"}).json()
    assert [one["id"] for one in after["batches"]] == ids[:1]
    assert client.get("/v1/jobs").json()["jobs"] == []
    for method in ("GET", "DELETE"):
        assert client.request(method, f"/v1/jobs/{ids[0]}").status_code == 404


def test_anothers_batch_is_not_there_and_each_may_have_so_many(checkpoint: Path) -> None:
    with (
        served(checkpoint, safety="off", api_keys=KEYS, per_key_batches=2) as running,
        httpx.Client(base_url=running.url, timeout=60) as client,
    ):
        mine = send(client, table(50), headers=MINE, num_inference_steps=150)
        place = mine.headers["location"]
        assert send(client, table(1), headers=MINE).status_code == 202
        assert send(client, table(1), headers=MINE).status_code == 429
        other = send(client, table(1), headers=OTHER)
        assert other.status_code == 202
        for path in (place, f"{place}/results", f"{place}/files/pictures/000000/000000000.png"):
            assert client.get(path, headers=OTHER).status_code == 404
        assert client.delete(place, headers=OTHER).status_code == 404
        assert client.get("/v1/batches", headers=OTHER).json()["batches"][0]["id"] == other.json()["id"]
        assert client.get(place).status_code == 401
        client.delete(place, headers=MINE)
        assert ended(client, other)["state"] == "done"


def test_files_are_removed_after_their_time(checkpoint: Path, tmp_path: Path) -> None:
    files, settings = tmp_path / "batches" / "files", {"safety": "off", "jobs_folder": tmp_path}
    with served(checkpoint, **settings) as running, httpx.Client(base_url=running.url, timeout=60) as client:
        view = ended(client, send(client, table(1)))
        assert len(list(files.iterdir())) == 1
    (files / "of-nobody").mkdir()
    with (
        served(checkpoint, **settings, batch_ttl_s=0.001) as running,  # tidied at its start, and then each minute
        httpx.Client(base_url=running.url, timeout=60) as client,
    ):
        assert list(files.iterdir()) == []
        assert client.get(view["url"]).json()["state"] == "expired"
        assert client.get(view["results_url"]).status_code == 410
        assert client.get(view["url"]).json()["rows"] is None


def test_a_batch_that_makes_too_much_ends_and_says_so(checkpoint: Path) -> None:
    with (
        served(checkpoint, safety="off", batch_bytes=3 * 2**20) as running,
        httpx.Client(base_url=running.url, timeout=60) as client,
    ):
        assert send(client, table(800)).status_code == 429  # the table alone is too much
        rows = [{**inline_row(number % 3), "num_images_per_prompt": 4} for number in range(300)]
        view = ended(client, send(client, "".join(json.dumps(row) + "\n" for row in rows).encode()))
        assert (view["state"], view["error"]["code"]) == ("failed", "batch_too_large")
        assert view["rows"]["done"] > 0


def test_a_batch_counts_in_metrics(client: httpx.Client) -> None:
    ended(client, send(client, table(1)))
    text = client.get("/metrics").text
    assert 'retouch_batch_rows_total{status="done"}' in text
    assert 'retouch_batches_total{state="done"}' in text
