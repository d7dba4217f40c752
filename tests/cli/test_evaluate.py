import json
from functools import partial

import numpy as np
import pytest
from PIL import Image
from tests.data_factories import make_data

from retouch.evaluate.exemplars import ProbeRecipe


@pytest.fixture
def photographs(tmp_path):
    rng = np.random.default_rng(0)
    for k in range(3):
        Image.fromarray(rng.integers(0, 256, (40, 48, 3), dtype=np.uint8)).save(tmp_path / f"{k}.png")
    return tmp_path


def test_card_writes_a_report_and_names_it(run, photographs, tmp_path):
    out = tmp_path / "out"
    options = [
        "--size",
        "32",
        "--steps",
        "1",
        "--masks",
        "thin",
        "--limit",
        "2",
        "--no-baselines",
        "--rows-per-call",
        "4",
    ]
    result = run("evaluate", "card", str(photographs), "--out", str(out), *options)
    assert result.exit_code == 0, result.output
    assert result.stdout.strip() == str(out / "report.html")
    told = json.loads((out / "report.json").read_text())
    assert told["painters"][0]["name"] == "retouch"
    assert told["painters"][0]["scores"]["thin"]["kept_identical"]["value"] == 1


def test_an_empty_folder_is_bad_input(run, tmp_path):
    (tmp_path / "empty").mkdir()
    result = run("evaluate", "card", str(tmp_path / "empty"), "--out", str(tmp_path / "out"))
    assert result.exit_code == 2
    assert "no pictures" in result.stderr


def test_weights_that_are_not_there_are_refused_before_any_work(run, photographs, tmp_path):
    where = str(tmp_path / "absent.pt")
    result = run("evaluate", "card", str(photographs), "--out", str(tmp_path / "o"), "--inception", where)
    assert result.exit_code == 2
    assert "absent.pt" in result.stderr
    assert not (tmp_path / "o").exists()


def test_compare_prints_differences_or_json(run, tmp_path):
    row = {"prompt": "p", "concept": "cat", "colour": "red", "place": None, "seed": 1, "sees_colour": "red"}
    for name, rank in (("a", 1), ("b", 2)):
        rows = [row | {"rank": rank, "seed": k} for k in range(4)]
        (tmp_path / f"{name}.json").write_text(json.dumps({"painters": [{"per_case": rows}]}))
    pair = (str(tmp_path / "a.json"), str(tmp_path / "b.json"))
    assert (
        "object_top1: 100% [100, 100] over 4 cases  (more than chance)" in run("evaluate", "compare", *pair).stdout
    )
    told = json.loads(run("evaluate", "compare", *pair, "--json").stdout)
    assert told["differences"]["colour"]["value"] == 0


@pytest.mark.slow
def test_pocket_judges_a_checkpoint_on_a_data_folder(run, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("retouch.evaluate.exemplars.ProbeRecipe", partial(ProbeRecipe, per_concept=3))
    data, out = make_data(tmp_path / "data"), tmp_path / "out"
    options = ["--cases", "5", "--size", "32", "--steps", "1", "--rows-per-call", "4", "--variety", "1"]
    result = run("evaluate", "pocket", "--data", str(data), "--out", str(out), *options)
    assert result.exit_code == 0, result.output
    told = json.loads((out / "report.json").read_text())
    names = [p["name"] for p in told["painters"]]
    assert names[-2:] == ["VAE round trip", "truth"]
    assert {"sprite pasted", "mean of the ring", "OpenCV telea"} <= set(names)
    assert "retouch" in told["variety"]
    assert "| sprite pasted |" in result.stderr


@pytest.mark.slow
def test_sheet_draws_fills_that_the_seed_chose(run, tmp_path):
    out = tmp_path / "sheet.png"
    result = run("evaluate", "sheet", "--out", str(out), "--size", "32", "--steps", "1")
    assert result.exit_code == 0, result.output
    assert result.stdout.strip() == str(out)
    with Image.open(out) as drawn:
        assert drawn.width > 1000
