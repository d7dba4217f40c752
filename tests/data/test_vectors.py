from pathlib import Path

import pytest

from retouch.data.vectors import SymbolSheet, render_svg
from retouch.errors import BadInput

_HEAD = '<svg viewBox="0 0 8 8" id="{}" xmlns="http://www.w3.org/2000/svg">'
SHEET = (
    '<svg xmlns="http://www.w3.org/2000/svg"><style/>'
    f'{_HEAD.format("A")}<svg><path fill="red" d="M0 0h4v8H0z"/></svg></svg>'
    f'{_HEAD.format("A-B")}<defs><path id="p" fill="blue" d="M0 0h8v8H0z"/></defs><use xlink:href="#p"/></svg>'
)


@pytest.fixture
def sheet(tmp_path: Path) -> SymbolSheet:
    (tmp_path / "all.svg").write_text(SHEET + "</svg>")
    return SymbolSheet(tmp_path / "all.svg")


def test_a_drawing_is_cut_out_whole_by_its_exact_name(sheet: SymbolSheet):
    assert sheet.drawing("A").count("</svg>") == 2
    assert "blue" not in sheet.drawing("A")
    assert "red" not in sheet.drawing("A-B")


def test_a_drawing_renders_with_its_own_references(sheet: SymbolSheet):
    pytest.importorskip("resvg_py")
    first, second = (render_svg(sheet.drawing(name), 16) for name in ("A", "A-B"))
    assert first[8, 2].tolist() == [255, 0, 0, 255]
    assert first[8, 12, 3] == 0
    assert second[8, 8].tolist() == [0, 0, 255, 255]


def test_an_unknown_drawing_is_bad_input(sheet: SymbolSheet):
    with pytest.raises(BadInput, match=r"all\.svg has no drawing B"):
        sheet.drawing("B")


def test_a_sheet_that_is_cut_short_is_bad_input(tmp_path: Path):
    (tmp_path / "all.svg").write_text(SHEET.removesuffix("</svg>"))
    with pytest.raises(BadInput, match="cut short"):
        SymbolSheet(tmp_path / "all.svg").drawing("A-B")
