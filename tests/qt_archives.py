"""Qt resource files made in memory, in the layout that Qt's own compiler writes."""

import struct
import zlib

COMPRESSED, FOLDER = 1, 2


def rcc_bytes(files: dict[str, bytes], *, compress: bool = True) -> bytes:
    """Pack files ("a/b.webp": bytes) as version 1: header, blobs, names, tree."""
    root: dict = {}
    for name, data in files.items():
        *folders, leaf = name.split("/")
        node = root
        for folder in folders:
            node = node.setdefault(folder, {})
        node[leaf] = data
    blobs, names, nodes = b"", b"", [("", root)]
    tree: list[bytes] = []
    index = 0
    while index < len(nodes):
        name, content = nodes[index]
        at = len(names)
        names += struct.pack(">HI", len(name), 0) + name.encode("utf-16-be")
        if isinstance(content, dict):
            tree.append(struct.pack(">IHII", at, FOLDER, len(content), len(nodes)))
            nodes += list(content.items())
        else:
            blob = struct.pack(">I", len(content)) + zlib.compress(content) if compress else content
            tree.append(struct.pack(">IHHHI", at, COMPRESSED * compress, 0, 1, len(blobs)))
            blobs += struct.pack(">I", len(blob)) + blob
        index += 1
    start = 20
    places = (start + len(blobs) + len(names), start, start + len(blobs))
    return b"qres" + struct.pack(">4I", 1, *places) + blobs + names + b"".join(tree)
