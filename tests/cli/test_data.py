from pathlib import Path

import pytest
from PIL import Image
from tests.data_factories import make_data
from tests.icon_sets import write_icon_sets
from typer.testing import CliRunner

from retouch.cli.data import app
from retouch.data.compose import SceneComposer
from retouch.data.export import ExportOptions, export_shards
from retouch.data.sprites import SpritePack

runner = CliRunner()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_data(tmp_path_factory.mktemp("data"))


def test_show_draws_a_contact_sheet(folder: Path, tmp_path: Path):
    out = tmp_path / "sheet.png"
    done = runner.invoke(app, ["show", str(folder), "--out", str(out), "--count", "4", "--size", "64"])
    assert done.exit_code == 0, done.output
    with Image.open(out) as sheet:
        assert sheet.width == 4 * 100


def test_outsiders_are_built_from_icon_sets(tmp_path: Path):
    packages, out = write_icon_sets(tmp_path / "packages"), tmp_path / "outsiders"
    done = runner.invoke(app, ["build", "outsiders", "--packages", str(packages), "--out", str(out)])
    assert done.exit_code == 0, done.output
    assert {record["source"] for record in SpritePack.open(out).records} == {"twemoji", "emojione", "noto-v1"}


def test_export_and_check_go_together(folder: Path, tmp_path: Path):
    out = tmp_path / "shards"
    done = runner.invoke(
        app, ["export", str(folder), "--out", str(out), "--count", "3", "--per-shard", "2", "--size", "32"]
    )
    assert done.exit_code == 0, done.output
    assert sorted(path.name for path in out.iterdir()) == ["00000.tar", "00001.tar"]
    checked = runner.invoke(app, ["check", str(out)])
    assert checked.exit_code == 0
    assert "read 3" in checked.output


def test_check_fails_where_nothing_can_be_read(tmp_path: Path):
    (tmp_path / "0.tar").write_bytes(b"junk")
    assert runner.invoke(app, ["check", str(tmp_path)]).exit_code == 1


def test_check_and_index_name_a_shard_that_is_cut_short(folder: Path, tmp_path: Path):
    out = tmp_path / "shards"
    export_shards(SceneComposer.open(folder, size=32), out, ExportOptions(count=6, per_shard=3))
    whole = (out / "00001.tar").read_bytes()
    (out / "00001.tar").write_bytes(whole[: len(whole) // 2])
    checked = runner.invoke(app, ["check", str(out)])
    assert "00001.tar: cut short" in checked.output
    indexed = runner.invoke(app, ["index", str(out)])
    assert indexed.exit_code == 0, indexed.output
    assert "00001.tar: shard: cut short (1)" in indexed.output
    samples = checked.output.split("read ")[1].split()[0]
    assert f"{samples} samples in 2 shards" in indexed.output


def test_filter_says_what_it_kept_and_dropped(tmp_path: Path):
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    rows = [{"WIDTH": 600, "HEIGHT": 600, "pwatermark": 0.1, "AESTHETIC_SCORE": score} for score in (4.0, 6.0)]
    parquet.write_table(pa.Table.from_pylist(rows), tmp_path / "in.parquet")
    done = runner.invoke(app, ["filter", str(tmp_path / "in.parquet"), str(tmp_path / "out.parquet")])
    assert done.exit_code == 0, done.output
    assert "kept 1" in done.output
    assert "dropped 1: aesthetic" in done.output


def test_build_names_the_missing_client_and_the_way_around(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    done = runner.invoke(app, ["build", "pocket", "--packages", str(tmp_path), "--out", str(tmp_path / "out")])
    assert done.exit_code != 0
    assert "--packages" in done.exception.hint
