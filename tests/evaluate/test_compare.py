import json

import pytest

from retouch.errors import BadInput
from retouch.evaluate.compare import compare_reports


def _row(k, rank, sees_colour="red"):
    return {
        "prompt": f"prompt {k}",
        "concept": "cat",
        "colour": "red" if k % 2 else None,
        "place": "street",
        "seed": k,
        "rank": rank,
        "sees_colour": sees_colour if k % 2 else None,
    }


def _write(path, rows):
    path.write_text(json.dumps({"painters": [{"per_case": rows}]}))
    return path


def test_differences_are_over_the_same_cases(tmp_path):
    better = _write(tmp_path / "a.json", [_row(k, 1 if k % 4 else 3) for k in range(40)])
    worse = _write(tmp_path / "b.json", [_row(k, 9 if k % 2 else 1, "blue") for k in range(40)])
    differences = compare_reports(better, worse).differences
    assert differences["object_top1"].value == pytest.approx(0.75 - 0.5)
    assert differences["object_top5"].value == pytest.approx(1 - 0.5)
    assert (differences["colour"].value, differences["colour"].count) == (1.0, 20)


def test_a_report_does_not_differ_from_itself(tmp_path):
    path = _write(tmp_path / "a.json", [_row(k, 1 + k % 7) for k in range(20)])
    assert all(e.value == e.low == e.high == 0 for e in compare_reports(path, path).differences.values())


def test_other_cases_are_refused(tmp_path):
    first = _write(tmp_path / "a.json", [_row(k, 1) for k in range(3)])
    second = _write(tmp_path / "b.json", [_row(k, 1) for k in range(1, 4)])
    with pytest.raises(BadInput, match="different cases"):
        compare_reports(first, second)


@pytest.mark.parametrize("text", ["{}", "no json", '{"painters": [{"per_case": [{"rank": 1}]}]}'])
def test_files_that_are_no_report_are_refused(tmp_path, text):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(BadInput, match="no report"):
        compare_reports(tmp_path / "a.json", tmp_path / "a.json")
