"""Every block of the documentation that is marked `run` is run, in the order of its page."""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = ("README.md", *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")))
FENCE = re.compile(r"^```(\w*)([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)")
QUICK = {"docs/masks.md"}


@dataclass(frozen=True)
class Block:
    language: str
    is_run: bool
    text: str


def blocks_of(page: str) -> list[Block]:
    found = FENCE.findall((ROOT / page).read_text(encoding="utf-8"))
    return [Block(language, "run" in marks.split(), text) for language, marks, text in found]


def pages_to_run() -> list[object]:
    pages = [page for page in PAGES if any(block.is_run for block in blocks_of(page))]
    return [page if page in QUICK else pytest.param(page, marks=pytest.mark.slow) for page in pages]


@pytest.mark.parametrize("page", pages_to_run())
def test_the_marked_blocks_of_a_page_run(page: str, tmp_path: Path) -> None:
    for folder in ("examples", "configs"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    scripts = Path(sys.executable).parent
    env = os.environ | {"PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}", "HF_HUB_OFFLINE": "1"}
    marked = [block for block in blocks_of(page) if block.is_run]
    for language, group in groupby(marked, key=lambda block: block.language):
        script = "\n".join(block.text for block in group)
        command = {"bash": ["bash", "-euo", "pipefail", "-c"], "python": [sys.executable, "-c"]}[language]
        done = subprocess.run(
            [*command, script], check=False, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=280
        )
        assert done.returncode == 0, f"{script}\n{done.stdout}\n{done.stderr}"


@pytest.mark.parametrize("page", PAGES)
def test_python_blocks_are_python(page: str) -> None:
    for block in blocks_of(page):
        if block.language == "python":
            compile(block.text, page, "exec")


@pytest.mark.parametrize("page", PAGES)
def test_links_inside_the_repository_lead_somewhere(page: str) -> None:
    home = (ROOT / page).parent
    links = LINK.findall((ROOT / page).read_text(encoding="utf-8"))
    missing = [link for link in links if not (home / link).exists()]
    assert missing == []


def test_the_page_of_the_command_line_names_every_option_of_inpaint() -> None:
    shown = subprocess.run(
        [sys.executable, "-m", "retouch.cli", "inpaint", "--help"], check=True, capture_output=True, text=True
    ).stdout
    page = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    options = set(re.findall(r"--[a-z][a-z-]+", shown)) - {"--help", "--debug"}
    assert {option for option in options if f"`{option}" not in page and f"{option} " not in page} == set()


def test_every_picture_of_the_pages_is_small() -> None:
    heavy = [path.name for path in (ROOT / "docs" / "pictures").iterdir() if path.stat().st_size >= 100_000]
    assert heavy == []


def test_every_page_is_in_the_index() -> None:
    index = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    pages = [path.name for path in (ROOT / "docs").glob("*.md") if path.name != "README.md"]
    assert [page for page in pages if f"({page})" not in index] == []


@pytest.mark.parametrize("folder", ["", "engine/", "engine/samplers/"])
def test_the_map_names_every_module_of_the_path(folder: str) -> None:
    told = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    modules = [path.name for path in (ROOT / "src" / "retouch" / folder).glob("*.py") if path.stem != "__init__"]
    assert [name for name in modules if name not in told] == []
