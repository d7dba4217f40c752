"""MLflow's scoring protocol, form by form."""

import csv
import io
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.serve.dialects.broken_tables import broken
from tests.serve.dialects.tables import IMAGE, MASK, Reply, ask, row, split
from tests.serve.pictures import assert_only_the_hole_changed, photo
from tests.serve.serving import Served, served, until

from retouch.errors import (
    DeadlineExceeded,
    Draining,
    ImageTooLarge,
    InvalidField,
    QueueFull,
    RetouchError,
    UrlRefused,
)
from retouch.serve.dialects.mlflow import words

PARAMS = {"num_inference_steps": 1}


def invoke(running: Served, document: Any, **options: Any) -> Reply:
    return ask(f"{running.url}/invocations", document, **options)


def predictions(reply: Reply) -> list[dict[str, Any]]:
    assert reply.status == 200, reply.body
    assert [*reply.json] == ["predictions"]
    return list(reply.json["predictions"])


def csv_of(*rows: dict[str, Any]) -> bytes:
    file = io.StringIO()
    table = csv.DictWriter(file, [*rows[0]])
    table.writeheader()
    table.writerows(rows)
    return file.getvalue().encode()


def as_lists(*rows: dict[str, Any]) -> dict[str, Any]:
    return {"columns": [*rows[0]], "index": [*range(len(rows))], "data": [[*one.values()] for one in rows]}


FORMS = {
    "split": lambda *rows: {"dataframe_split": as_lists(*rows)},
    "split of objects": lambda *rows: {"dataframe_split": split(*rows)},
    "records": lambda *rows: {"dataframe_records": [*rows]},
    "instances": lambda *rows: {"instances": [*rows]},
    "inputs by row": lambda *rows: {"inputs": [*rows]},
    "inputs by column": lambda *rows: {"inputs": {name: [one[name] for one in rows] for name in rows[0]}},
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_json_is_answered_row_by_row(tiny: Served, form: str) -> None:
    document = FORMS[form](row(1, prompt="one"), row(2, prompt="two"))
    answer = predictions(invoke(tiny, {**document, "params": PARAMS}))
    assert [[*entry] for entry in answer] == [["prompt", "generated_image", "nsfw_content_detected"]] * 2
    assert [entry["prompt"] for entry in answer] == ["one", "two"]
    for number, entry in enumerate(answer, 1):
        assert "\n" not in entry["generated_image"]
        assert_only_the_hole_changed(entry["generated_image"], photo(seed=number), MASK)


@pytest.mark.parametrize("content_type", ["text/csv", "text/csv; charset=utf-8", "text/csv;charset=UTF8"])
def test_csv_is_answered_row_by_row(tiny: Served, content_type: str) -> None:
    body = csv_of({"": 0, **row(1), "num_inference_steps": 1}, {"": 1, **row(2), "num_inference_steps": 1})
    answer = predictions(invoke(tiny, body, content_type=content_type))
    for number, entry in enumerate(answer, 1):
        assert_only_the_hole_changed(entry["generated_image"], photo(seed=number), MASK)


def test_a_bare_row_is_answered_by_a_bare_list(tiny: Served) -> None:
    reply = invoke(tiny, {**row(), "params": PARAMS})
    assert reply.status == 200
    [entry] = reply.json
    assert_only_the_hole_changed(entry["generated_image"], IMAGE, MASK)


def test_the_mask_may_be_called_so_and_other_columns_are_dropped(tiny: Served) -> None:
    cells = row(file_name="a.png")
    cells["mask"] = cells.pop("mask_image")
    [entry] = predictions(invoke(tiny, {"instances": [cells], "params": PARAMS}))
    assert_only_the_hole_changed(entry["generated_image"], IMAGE, MASK)


def test_params_are_honoured_and_unknown_ones_refused(tiny: Served) -> None:
    reply = invoke(tiny, {"instances": [row()], "params": {**PARAMS, "seed": "7", "num_images_per_prompt": 2}})
    assert len(predictions(reply)) == 2
    assert reply.headers["X-Retouch-Seeds"] == "7,8"
    refused = invoke(tiny, {"instances": [row()], "params": {"steps": 1}})
    assert (refused.status, refused.json["error_code"]) == (400, "INVALID_PARAMETER_VALUE")
    assert "num_inference_steps" in refused.json["error"]["hint"]


def test_a_bad_row_fails_alone(tiny: Served) -> None:
    bad, good = predictions(invoke(tiny, {"instances": [row(image="?"), row(1)], "params": PARAMS}))
    assert (bad["generated_image"], bad["error"]["row"]) == (None, 0)
    assert_only_the_hole_changed(good["generated_image"], photo(seed=1), MASK)


BAD, INVALID = "BAD_REQUEST", "INVALID_PARAMETER_VALUE"


@pytest.mark.parametrize(
    ("document", "options", "status", "code"),
    [
        ({"input_data": split(row())}, {}, 400, BAD),
        ({"instances": [row()], "inputs": [row()]}, {}, 400, BAD),
        ({}, {}, 400, BAD),
        ([row()], {}, 400, BAD),
        (b"{", {}, 400, BAD),
        (b"", {}, 400, BAD),
        ({"instances": [row(image="https://a.b/c.png")]}, {}, 400, INVALID),
        ({"instances": [row(mask_image=None)]}, {}, 400, INVALID),
        ({"instances": [row(image="no base64!")]}, {}, 400, INVALID),
        ({"instances": []}, {}, 400, INVALID),
        ({"instances": [row()] * 9}, {}, 400, INVALID),
        ({"instances": {"prompt": "P"}}, {}, 400, INVALID),
        ({"dataframe_split": [row()]}, {}, 400, INVALID),
        ({"dataframe_split": {"columns": ["prompt"], "data": [["P"]]}}, {}, 400, INVALID),
        ({"instances": [row()], "parameters": {}}, {}, 400, INVALID),
        ({"instances": [row()], "params": 7}, {}, 400, INVALID),
        (b"prompt\nP", {"content_type": "text/plain"}, 415, BAD),
        (b"prompt\nP", {"content_type": "text/csv; charset=latin-1"}, 415, BAD),
        (b"prompt\n\xff", {"content_type": "text/csv"}, 400, BAD),
        (b'prompt\n"P', {"content_type": "text/csv"}, 400, BAD),
        (b"prompt\n", {"content_type": "text/csv"}, 400, INVALID),
        (b"prompt\nP", {"content_type": "text/csv"}, 400, INVALID),
    ],
)
def test_what_is_wrong_is_answered_with_mlflow_s_codes(
    tiny: Served, document: Any, options: Any, status: int, code: str
) -> None:
    reply = invoke(tiny, document, **options)
    assert (reply.status, reply.json["error_code"]) == (status, code)
    assert reply.json["message"] == reply.json["error"]["message"]


def test_a_missing_column_and_a_missing_format_are_named(tiny: Served) -> None:
    assert "mask_image" in invoke(tiny, {"instances": [row(mask_image=None)]}).json["message"]
    message = invoke(tiny, {"input_data": {}}).json["message"]
    assert message.startswith("The input must be a JSON dictionary with exactly one of the input fields {")


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (InvalidField("seed", "is -1"), 400, INVALID),
        (UrlRefused("no"), 400, BAD),
        (ImageTooLarge("no"), 413, BAD),
        (QueueFull("no"), 429, "REQUEST_LIMIT_EXCEEDED"),
        (Draining("no"), 503, "TEMPORARILY_UNAVAILABLE"),
        (DeadlineExceeded("no"), 504, "DEADLINE_EXCEEDED"),
        (RetouchError("no"), 500, "INTERNAL_ERROR"),
    ],
)
def test_errors_have_the_codes_of_mlflow(error: RetouchError, status: int, code: str) -> None:
    told = words(error)
    assert (told.status, told.body["error_code"]) == (status, code)


@pytest.mark.parametrize("path", ["/ping", "/health"])
def test_ping_is_an_empty_line(tiny: Served, path: str) -> None:
    reply = ask(f"{tiny.url}{path}")
    assert (reply.status, reply.body) == (200, b"\n")


def test_version_is_that_of_the_protocol(tiny: Served) -> None:
    assert ask(f"{tiny.url}/version").body == b"2.12.1"


def test_ping_fails_while_the_server_drains(checkpoint: Path) -> None:
    with served(checkpoint, safety="off") as running:
        running.service.drain()
        assert ask(f"{running.url}/ping").status == 503
        refused = invoke(running, {"instances": [row()]})
        assert (refused.status, refused.json["error_code"]) == (503, "TEMPORARILY_UNAVAILABLE")


def test_mlflow_s_own_client_is_answered(tiny: Served) -> None:
    client = pytest.importorskip("mlflow.pyfunc.scoring_server.client").ScoringServerClient
    pandas = pytest.importorskip("pandas")
    host, _, port = tiny.url.removeprefix("http://").partition(":")
    mlflow = client(host, port)
    mlflow.ping()
    assert mlflow.get_version() == "2.12.1"
    frame = pandas.DataFrame([row(1), row(2)])
    answer = mlflow.invoke(frame, {**PARAMS, "seed": 7}).get_predictions()
    for number, cells in enumerate(answer.to_dict("records"), 1):
        assert_only_the_hole_changed(cells["generated_image"], photo(seed=number), MASK)


@pytest.fixture(scope="module")
def brief(checkpoint: Path) -> Iterator[Served]:
    """A server whose pictures take no time, whatever is asked."""
    with served(checkpoint, safety="off", num_inference_steps=2) as running:
        yield running


def bodies(draw: random.Random, count: int) -> Iterator[tuple[bytes, str]]:
    """Yield bodies that are nearly right, each with its media type."""
    cells = {**row(), "num_inference_steps": 1}
    for number in range(count):
        if number % 4 == 0:
            body = bytearray(csv_of(cells, cells))
            for _ in range(draw.randint(0, 8)):
                body[draw.randrange(len(body))] = draw.choice(b'",\n\r\0\xff') if draw.random() < 0.8 else 65
            yield bytes(body), "text/csv"
        else:
            form = draw.choice([*FORMS])
            yield broken({**FORMS[form](cells, cells), "params": {"seed": 7}}, draw), "application/json"


def test_no_body_makes_the_server_fail(brief: Served) -> None:
    sent = bodies(random.Random(7), 200)
    seen = {invoke(brief, body, content_type=kind).status for body, kind in sent}
    assert max(seen) < 500
    assert {200, 400} <= seen
    until(lambda: brief.service.admission.rows == 0)  # given back just after the last answer


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_no_body_of_thousands_makes_the_server_fail(brief: Served) -> None:
    for body, kind in bodies(random.Random(8), 3_000):
        reply = invoke(brief, body, content_type=kind)
        assert reply.status < 500, reply.body
