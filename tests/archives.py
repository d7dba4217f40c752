"""npm and Debian archives made in memory, in the layout of real ones."""

import io
import tarfile


def tar_bytes(files: dict[str, bytes], mode: str = "w:gz") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def deb_bytes(files: dict[str, bytes]) -> bytes:
    def entry(name: str, data: bytes) -> bytes:
        header = f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(data):<10}`\n".encode()
        return header + data + b"\n" * (len(data) % 2)

    data = tar_bytes(files, "w:xz")
    return (
        b"!<arch>\n"
        + entry("debian-binary", b"2.0\n")
        + entry("control.tar.xz", b"odd")
        + entry("data.tar.xz", data)
    )
