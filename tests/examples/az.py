"""An `az` that writes down what it is told, refuses files that are not there, and answers as Azure's would."""

import base64
import json
import os
import sys
from itertools import pairwise
from pathlib import Path


def answer_of(number: int) -> str:
    """Return base64 of what stands for a picture."""
    return base64.b64encode(f"picture {number}".encode()).decode()


def main(told: list[str]) -> int:
    with Path(os.environ["AZ_LOG"]).open("a", encoding="utf-8") as log:
        log.write(json.dumps(told) + "\n")
    named = dict(pairwise(told))
    for option in ("--file", "--request-file", "--input"):
        if option in named and not Path(named[option]).exists():
            return 2
    match told[1:3]:
        case ["compute", "show"]:
            return 3  # there is none yet
        case ["online-endpoint", "invoke"]:
            # A string with JSON in it, as the real one prints it.
            print(json.dumps(json.dumps([{"prompt": "a red apple", "generated_image": answer_of(0)}])))
        case ["batch-endpoint", "invoke"]:
            print("job-1")
        case ["job", "download"]:
            folder = Path(named["--download-path"]) / "named-outputs" / "score"
            folder.mkdir(parents=True)
            line = f"0,{answer_of(0)},False,0batch_input.csv\n"
            (folder / "predictions.csv").write_text(line, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
