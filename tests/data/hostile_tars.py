"""Tar files that no honest program writes, built block by block."""

import gzip
import io
import tarfile
from functools import cache


def header(name: str, size: int | bytes, kind: bytes = b"0") -> bytes:
    """Return one header block; `size` as bytes is the field as it stands."""
    field = size if isinstance(size, bytes) else f"{size:011o}\0".encode()
    block = bytearray(512)
    block[:100] = name.encode()[:100].ljust(100, b"\0")
    block[100:108] = b"0000644\0"
    block[124:136] = field.ljust(12, b"\0")
    block[156:157] = kind
    block[257:265] = b"ustar\x0000"
    block[148:156] = b" " * 8
    block[148:156] = f"{sum(block):06o}\0 ".encode()
    return bytes(block)


def member(name: str, content: bytes, kind: bytes = b"0") -> bytes:
    return header(name, len(content), kind) + content + bytes(-len(content) % 512)


def pax(**values: str) -> bytes:
    """Return an extended header of `key=value` records."""
    records = b""
    for key, value in values.items():
        body = f" {key.replace('__', '.')}={value}\n".encode()
        length = len(body) + len(str(len(body)))
        length += len(str(length)) - len(str(len(body)))
        records += f"{length}".encode() + body
    return member("pax", records, b"x")


END = bytes(1024)


def good(*files: tuple[str, bytes]) -> bytes:
    return b"".join(member(name, content) for name, content in files)


@cache
def hostile_tars(sample: bytes) -> dict[str, bytes]:
    """Return files of which every one holds `sample`, a whole sample's members, and then what is hostile."""
    many = b"".join(member(f"7.{ending}", bytes(2**20)) for ending in ["jpg", "png", "webp", "jpeg"] * 25)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:xz") as tar:
        tar.addfile(tarfile.TarInfo("1.txt"))
    return {
        "size_of_30_digits": sample + pax(size="9" * 30) + member("1.jpg", b"x") + END,
        "size_of_19_digits": sample + pax(size="9" * 19) + member("1.jpg", b"x") + END,
        "size_of_many_bits": sample + header("1.jpg", b"\x80" + b"\xff" * 11) + END,
        "size_below_zero": sample + header("1.jpg", b"\xff" * 12) + END,
        "long_name_of_gigabytes": gzip.compress(sample + header("x", 2**31, b"L") + bytes(4 * 2**20)),
        "chain_of_long_names": sample + member("x", b"name", b"L") * 3_000 + member("1.jpg", b"x") + END,
        "chain_of_extended_headers": sample + pax(path="a") * 3_000 + member("1.jpg", b"x") + END,
        "sparse_map_of_letters": sample
        + pax(GNU__sparse__map="a,b", GNU__sparse__major="1", GNU__sparse__size="z")
        + member("1.jpg", b"x")
        + END,
        "records_of_no_length": sample + member("pax", b"0 path=x\n", b"x") + member("1.jpg", b"x") + END,
        "records_without_end": sample + member("pax", b"9999 path=x\n", b"x") + member("1.jpg", b"x") + END,
        "size_of_words": sample + pax(size="many") + member("1.jpg", b"x") + END,
        "one_stem_of_many_pictures": sample + many + END,
        "inflates_a_thousandfold": gzip.compress(sample + header("1.bin", 2**33) + bytes(80 * 2**20), 1),
        "gzip_cut_short": gzip.compress(sample + END)[:-20],
        "gzip_broken": gzip.compress(sample)[:40] + b"\xff" * 400,
        "compressed_by_another": buffer.getvalue(),
        "no_tar_at_all": b"<html>404</html>" * 100,
        "empty": b"",
        "old_sparse_file": sample + member("1.jpg", b"x", b"S") + END,
    }
