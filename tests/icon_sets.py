"""Small icon sets in the layout of the real packages."""

import json
from pathlib import Path

from tests.archives import tar_bytes

from retouch.data.outsiders import HELD_OUT_SET, ICON_SETS

NAMES = {"1f34e": "red-apple", "1f697": "automobile", "2708": "airplane"}


def write_icon_sets(folder: Path) -> Path:
    """Write an archive of three discs for each set; the held-out one has no car."""
    folder.mkdir()
    for k, source in enumerate(ICON_SETS):
        body = f'<circle cx="18" cy="18" r="12" fill="#{k}00"/>'
        icons = {name: {"body": body} for name in NAMES.values()}
        if source.key == HELD_OUT_SET:
            del icons["automobile"]
        files = {
            "icons.json": {"icons": icons, "width": 36, "height": 36},
            "chars.json": NAMES if source.key == "twemoji" else {},
        }
        data = {f"package/{name}": json.dumps(content).encode() for name, content in files.items()}
        (folder / source.archive.replace("*", source.version)).write_bytes(tar_bytes(data))
    return folder
