import json
from functools import partial

import pytest

from retouch.evaluate import quick
from retouch.evaluate.exemplars import ProbeRecipe


@pytest.mark.slow
@pytest.mark.parametrize("painter", ["stock", "engine"])
def test_a_checkpoint_is_judged_and_reported(painter, checkpoint, data_folder, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("retouch.evaluate.exemplars.ProbeRecipe", partial(ProbeRecipe, per_concept=3))
    out = tmp_path / "runs" / "report.json"
    options = ["--cases", "5", "--size", "32", "--steps", "1", "--painter", painter, "--threads", "0"]
    assert quick.main(["--model", str(checkpoint), "--data", str(data_folder), "--out", str(out), *options]) == 0
    told = json.loads(out.read_text(), parse_constant=pytest.fail)
    assert told["scores"]["objects"]["object_top1"]["count"] == 5
    assert out.with_suffix(".png").is_file()
    assert "object_top1" in capsys.readouterr().out


def test_the_table_has_a_line_for_every_group_in_per_cent():
    half = {"value": 0.5, "low": 0.25, "high": 0.75, "count": 8}
    names = ("object_top1", "object_top5", "colour", "object_and_colour", "kernel", "seam_ratio")
    lines = quick.table({"held-out": dict.fromkeys(names, half), "seen": dict.fromkeys(names, half)}).splitlines()
    assert len(lines) == 2
    assert "held-out (n=8): object_top1 50% [25, 75]" in lines[0]
    assert "kernel 0.50 [0.25, 0.75]" in lines[1]
