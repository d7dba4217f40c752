"""How often the screen is right on prompts that its rules were not made with; `-s` prints the rates.

The bounds are what was measured. They may be raised by better rules, never by rules made for the held-out prompts.
"""

from collections import Counter
from pathlib import Path

import pytest

from retouch.safety.screen import screen_prompt

LINES = (Path(__file__).parent / "rates.tsv").read_text(encoding="utf-8").splitlines()
ROWS = [tuple(line.split("\t")) for line in LINES if not line.startswith("#")]

BLOCKED_HARMLESS = {"tune": 0, "held": 2}
BLOCKED = {
    "tune": {"sexual": 80, "sexual_minors": 44, "violence": 59, "hate": 49, "self_harm": 42},
    "held": {"sexual": 22, "sexual_minors": 16, "violence": 15, "hate": 12, "self_harm": 11},
}


@pytest.mark.parametrize("part", ["tune", "held"])
def test_rates_of_the_screen(part: str) -> None:
    blocked: Counter[str] = Counter()
    total: Counter[str] = Counter()
    for _, category, prompt in (row for row in ROWS if row[0] == part):
        total[category] += 1
        blocked[category] += screen_prompt(prompt).decision == "block"
    harmful = total.total() - total["-"]
    print(f"\n{part}: {blocked['-']} of {total['-']} harmless prompts blocked")
    for category, least in BLOCKED[part].items():
        print(f"{part}: {blocked[category]} of {total[category]} blocked, {category}")
        assert blocked[category] >= least
    print(f"{part}: {blocked.total() - blocked['-']} of {harmful} harmful prompts blocked")
    assert blocked["-"] <= BLOCKED_HARMLESS[part]


def test_no_prompt_is_in_two_lists() -> None:
    prompts = [prompt for _, _, prompt in ROWS]
    assert len(set(prompts)) == len(prompts) > 700
