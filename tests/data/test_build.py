import base64
import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.archives import deb_bytes, tar_bytes
from tests.qt_archives import rcc_bytes

from retouch.data.backgrounds import HELD_OUT, PANORAMAS, Amounts
from retouch.data.build import BuildOptions, build_pocket, sprite_reader, sprite_records
from retouch.data.compose import SceneComposer
from retouch.data.pack import read_pack
from retouch.data.photographs import Photograph, photographs
from retouch.data.sources import PERMISSIVE
from retouch.data.vectors import read_rgba
from retouch.data.vocabulary import concepts, more_sprites
from retouch.errors import BadInput


def webp(side: int = 24, form: str = "WEBP") -> bytes:
    buffer = io.BytesIO()
    picture = Image.new("RGBA", (side, side), (200, 90, 30, 255))
    picture.convert("RGB" if form == "JPEG" else "RGBA").save(buffer, form)
    return buffer.getvalue()


def exr(folder: Path) -> bytes:
    module = pytest.importorskip("OpenEXR")
    path = folder / "source.exr"
    pixels = np.random.default_rng(0).random((8, 16, 3)).astype(np.float16)
    module.File({"compression": module.ZIP_COMPRESSION, "type": module.scanlineimage}, {"RGB": pixels}).write(
        str(path)
    )
    return path.read_bytes()


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    """Small archives in the layout of the real packages."""
    folder = tmp_path / "packages"
    folder.mkdir()
    sprites = [key.removeprefix("fluent:") for c in concepts() for key in c.sprites if key.startswith("fluent:")]
    data, panorama = webp(), exr(tmp_path)
    module = b"export default 'data:application/exr;base64," + base64.b64encode(panorama) + b"'"
    stems = [name.split("/") for name in PANORAMAS]
    (folder / "lobehub-fluent-emoji-3d-1.1.0.tgz").write_bytes(
        tar_bytes({f"package/assets/{name}.webp": data for name in sprites})
    )
    (folder / "pmndrs-assets-1.7.0.tgz").write_bytes(
        tar_bytes({f"package/hdri/{stem}.exr.js": module for source, stem in stems if source == "pmndrs"})
    )
    world = "./usr/share/blender/datafiles/studiolights/world"
    (folder / "blender-data_1_all.deb").write_bytes(
        deb_bytes({f"{world}/{stem}.exr": panorama for source, stem in stems if source == "blender"})
    )
    add_other_styles(folder)
    add_photographs(folder, photographs())
    return folder


def add_other_styles(folder: Path) -> None:
    keys = [more.sprite.split(":", 1) for more in more_sprites()]
    dot = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"{}><path d="M1 1h5v5H1z"/></svg>'
    drawings = [dot.format(f' id="{name}"') for source, name in keys if source == "noto"]
    sheet = f'<svg xmlns="http://www.w3.org/2000/svg">{"".join(drawings)}</svg>'.encode()
    (folder / "svgmoji-noto-3.2.0.tgz").write_bytes(tar_bytes({"package/sprites/all.svg": sheet}))
    for source, package, root in (
        ("openclipart", "openclipart-svg", "./usr/share/openclipart/svg"),
        ("tuxpaint", "tuxpaint-stamps-default", "./usr/share/tuxpaint/stamps"),
    ):
        files = {
            f"{root}/{name}": dot.format("").encode() if name.endswith(".svg") else webp(form="PNG")
            for key, name in keys
            if key == source
        }
        (folder / f"{package}_1_all.deb").write_bytes(deb_bytes(files))


def add_photographs(folder: Path, table: tuple[Photograph, ...]) -> None:
    stems: dict[str, dict[str, bytes]] = {}
    for photograph in table:
        if photograph.source == "gcompris":
            activity = stems.setdefault(photograph.path.partition("/")[0], {})
            activity[f"gcompris/src/activities/{photograph.path}"] = webp(64)
    rcc = {f"./usr/share/gcompris-qt/rcc/{stem}.rcc": rcc_bytes(files) for stem, files in stems.items()}
    (folder / "gcompris-qt-data_1_all.deb").write_bytes(deb_bytes(rcc))
    for source, package, root in (
        ("lomiri", "lomiri-wallpapers-16.04", "./usr/share/backgrounds"),
        ("endless", "endless-sky-data", "./usr/share/games/endless-sky/images/land"),
    ):
        papers = {f"{root}/{p.path}": webp(64, "JPEG") for p in table if p.source == source}
        (folder / f"{package}_1_all.deb").write_bytes(deb_bytes(papers))


@pytest.mark.slow
def test_a_build_packs_everything_and_says_what_is_inside(packages: Path, tmp_path: Path):
    out = build_pocket(packages, tmp_path / "out", BuildOptions(amounts=Amounts(1, 1, 1)))
    manifest = json.loads((out / "manifest.json").read_text())
    assert {"MIT", "CC0-1.0", "Apache-2.0", "public domain"} <= set(manifest["picture_licences"]) <= PERMISSIVE
    assert {source["package"] for source in manifest["sources"]} == {
        "@lobehub/fluent-emoji-3d",
        "@pmndrs/assets",
        "@svgmoji/noto",
        "blender-data",
        "endless-sky-data",
        "gcompris-qt-data",
        "lomiri-wallpapers-16.04",
        "openclipart-svg",
        "retouch",
        "tuxpaint-stamps-default",
    }
    assert all(source["sha256"] for source in manifest["sources"] if source["package"] != "retouch")
    assert "Permission is hereby granted" in (out / "LICENCES.md").read_text()
    assert not list(out.glob(".unpacked*"))
    _, records = read_pack(out / "backgrounds.npz")
    held = HELD_OUT | {p.origin for p in photographs() if p.split == "validation"}
    assert {r["origin"] for r in records if r["split"] == "validation"} == held == set(manifest["held_out_places"])
    _, sprites = read_pack(out / "sprites.npz")
    assert {r["kind"] for r in sprites} == {"3d", "drawn", "photo"}
    for split in ("train", "validation"):
        scene = SceneComposer.open(out, size=32, split=split).scene(np.random.default_rng(0))
        assert scene.image.shape == (32, 32, 3)


def test_permissive_leaves_out_every_copyleft_sprite():
    for policy, is_free in (("permissive", True), ("all", False)):
        options = BuildOptions(licences=policy, styles="all")
        licences = {r["licence"] for r in sprite_records(concepts(), more_sprites(), options)}
        assert ("GPL-2.0-or-later" not in licences) is is_free
        assert {"MIT", "public domain"} <= licences


def test_the_default_holds_every_style_the_renders_first():
    records = list(sprite_records(concepts(), more_sprites(), BuildOptions()))
    kinds: dict[str, list[str]] = {}
    for record in records:
        kinds.setdefault(record["concept"], []).append(record["kind"])
    assert {kind for found in kinds.values() for kind in found} == {"3d", "drawn", "photo"}
    assert all(found[0] == "3d" for found in kinds.values())


def test_one_style_alone_can_be_had_and_some_sprites_of_rich_concepts_are_held_out():
    records = list(sprite_records(concepts(), more_sprites(), BuildOptions(styles="3d")))
    assert {record["kind"] for record in records} == {"3d"}
    held = {record["concept"] for record in records if record["split"] == "validation"}
    assert "cat face" in held
    assert held < {record["concept"] for record in records if record["split"] == "train"}


def test_every_sprite_record_names_its_source_and_licence():
    for record in sprite_records(concepts(), more_sprites(), BuildOptions(licences="all", styles="all")):
        assert record["licence"]
        assert record["package"]
        assert record["path"]


def test_a_missing_sprite_is_bad_input(tmp_path: Path):
    with pytest.raises(BadInput, match="has no"):
        sprite_reader({"fluent": tmp_path})("fluent", "1f431")


def test_drawings_are_rendered_with_alpha(tmp_path: Path):
    pytest.importorskip("resvg_py")
    circle = '<circle cx="38" cy="38" r="30" fill="red"/>'
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" width="20mm" height="20mm">{circle}</svg>'
    (tmp_path / "a.svg").write_text(svg)
    picture = sprite_reader({"openclipart": tmp_path})("openclipart", "a.svg")
    middle = picture[picture.shape[0] // 2, picture.shape[1] // 2]
    assert middle.tolist() == [255, 0, 0, 255]
    assert picture[0, 0, 3] == 0


def test_only_png_and_webp_are_read_as_sprites():
    buffer = io.BytesIO()
    Image.new("RGB", (4, 4)).save(buffer, "GIF")
    with pytest.raises(OSError):
        read_rgba(buffer.getvalue())
