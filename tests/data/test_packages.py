import io
import os
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest
from tests.archives import deb_bytes, tar_bytes

from retouch.data.packages import fetch, find_archive, sha256, unpack
from retouch.data.sources import SOURCES
from retouch.errors import BadInput, Unavailable

SOURCE = replace(SOURCES["fluent"], archive="thing-*.tgz", folder="package/assets")


def test_an_npm_archive_gives_only_its_folder(tmp_path: Path):
    archive = tmp_path / "thing-1.tgz"
    archive.write_bytes(tar_bytes({"package/assets/a.webp": b"a", "package/index.js": b"code"}))
    root = unpack(archive, SOURCE, tmp_path / "out")
    assert (root / "a.webp").read_bytes() == b"a"
    assert not (tmp_path / "out/package/index.js").exists()


def test_a_debian_package_is_read_without_dpkg(tmp_path: Path):
    archive = tmp_path / "thing_1_all.deb"
    archive.write_bytes(deb_bytes({"./package/assets/a.exr": b"pixels"}))
    assert (unpack(archive, SOURCE, tmp_path / "out") / "a.exr").read_bytes() == b"pixels"


def test_links_and_paths_that_lead_outside_are_never_written(tmp_path: Path):
    archive = tmp_path / "thing-1.tgz"
    with tarfile.open(archive, "w:gz") as tar:
        link = tarfile.TarInfo("package/assets/link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
        for name in ("package/assets/a", "/package/assets/b"):
            tar.addfile(tarfile.TarInfo(name), io.BytesIO())
    root = unpack(archive, SOURCE, tmp_path / "out")
    assert [path.name for path in root.iterdir()] == ["a"]
    escaping = tmp_path / "thing-2.tgz"
    escaping.write_bytes(tar_bytes({"package/assets/../../../evil": b"x"}))
    with pytest.raises(BadInput):
        unpack(escaping, SOURCE, tmp_path / "out2")
    assert not (tmp_path / "evil").exists()


@pytest.mark.parametrize("data", [b"junk", b"!<arch>\njunk"])
@pytest.mark.parametrize("name", ["a.tgz", "a.deb"])
def test_a_damaged_archive_is_bad_input(tmp_path: Path, data: bytes, name: str):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(BadInput):
        unpack(tmp_path / name, SOURCE, tmp_path / "out")


def test_another_layout_is_bad_input(tmp_path: Path):
    (tmp_path / "a.tgz").write_bytes(tar_bytes({"elsewhere/a": b""}))
    with pytest.raises(BadInput, match="no folder"):
        unpack(tmp_path / "a.tgz", SOURCE, tmp_path / "out")


def test_what_is_there_is_not_fetched_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", "")
    for name in ("thing-1.tgz", "thing-2.tgz"):
        (tmp_path / name).touch()
    assert fetch(SOURCE, tmp_path).name == "thing-2.tgz"
    assert find_archive(tmp_path / "nowhere", SOURCE) is None


def client(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """Put a small real program called npm first on the PATH."""
    folder.mkdir()
    program = folder / "npm"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}/bin{os.pathsep}/usr/bin")


def test_a_missing_package_is_fetched_by_its_client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    client(tmp_path / "bin", monkeypatch, 'echo "$@" > thing-9.tgz')
    archive = fetch(SOURCE, tmp_path / "cache")
    assert archive.read_text().split() == ["pack", "--silent", "@lobehub/fluent-emoji-3d@1.1.0"]


def test_a_failing_client_is_unavailable_with_its_last_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    client(tmp_path / "bin", monkeypatch, "echo no network >&2; exit 1")
    with pytest.raises(Unavailable, match="no network") as caught:
        fetch(SOURCE, tmp_path / "cache")
    assert "--packages" in caught.value.hint


def test_a_missing_client_is_bad_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BadInput, match="npm"):
        fetch(SOURCE, tmp_path / "cache")


def test_a_hash_is_of_the_files_bytes(tmp_path: Path):
    (tmp_path / "a").write_bytes(b"abc")
    assert sha256(tmp_path / "a").startswith("ba7816bf")
