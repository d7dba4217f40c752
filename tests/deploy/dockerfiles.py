"""A Dockerfile as the stages and instructions that it has."""

import json
import re
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass
class Stage:
    """One `FROM` and what follows it."""

    base: str
    name: str
    instructions: list[tuple[str, str]] = field(default_factory=list)

    def all(self, word: str) -> list[str]:
        return [value for name, value in self.instructions if name == word]

    def environment(self) -> dict[str, str]:
        told = " ".join(self.all("ENV"))
        return dict(re.findall(r"(\w+)=(\S+)", told))


def stages_of(path: Path) -> list[Stage]:
    """Read a Dockerfile without heredocs."""
    lines = [line for line in path.read_text().splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    stages: list[Stage] = []
    for line in filter(None, map(str.strip, joined.splitlines())):
        word, _, value = line.partition(" ")
        if word == "FROM":
            base, _, name = value.partition(" AS ")
            stages.append(Stage(base, name))
        elif stages:
            stages[-1].instructions.append((word, value))
    return stages


def listed(value: str) -> list[str]:
    """Read an instruction's JSON form."""
    found: list[str] = json.loads(value)
    return found
