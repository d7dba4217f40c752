import sys
from pathlib import Path

import pytest

from retouch.cli.outputs import Destination
from retouch.errors import BadInput, ImageFormatError


def test_variants_are_counted_from_the_second_on() -> None:
    names = [path.name for path in Destination(Path("a/out.png")).paths([7, 8, 9])]
    assert names == ["out.png", "out-2.png", "out-3.png"]


def test_a_name_with_the_seed_mark_carries_each_seed() -> None:
    names = [str(path) for path in Destination(Path("a/apple-{seed}.webp")).paths([7, 8])]
    assert names == ["a/apple-7.webp", "a/apple-8.webp"]


def test_check_makes_missing_folders_and_leaves_no_file(tmp_path: Path) -> None:
    Destination(tmp_path / "a" / "b" / "out.png").check(1)
    assert list((tmp_path / "a" / "b").iterdir()) == []


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(BadInput, match="cannot write into"):
        Destination(tmp_path / "file" / "out.png").check(1)


def test_a_disk_that_takes_no_files_is_refused() -> None:
    if not Path("/proc/self").is_dir():
        pytest.skip("there is no /proc here")
    with pytest.raises(BadInput, match="cannot write into"):
        Destination(Path("/proc/self/out.png")).check(1)


def test_an_unknown_suffix_is_refused_before_the_work(tmp_path: Path) -> None:
    with pytest.raises(ImageFormatError):
        Destination(tmp_path / "out.xyz").check(1)


@pytest.mark.parametrize("output", ["in.png", "link.png", "x/../in.png"])
def test_an_input_is_not_replaced_unless_asked(tmp_path: Path, output: str) -> None:
    source = tmp_path / "in.png"
    source.write_bytes(b"")
    (tmp_path / "link.png").symlink_to(source)
    (tmp_path / "x").mkdir()
    with pytest.raises(BadInput, match="is an input"):
        Destination(tmp_path / output, inputs=(source,)).check(1)
    Destination(tmp_path / output, inputs=(source,), overwrite=True).check(1)


def test_a_later_variant_does_not_replace_an_input_either(tmp_path: Path) -> None:
    source = tmp_path / "out-2.png"
    source.write_bytes(b"")
    with pytest.raises(BadInput, match="is an input"):
        Destination(tmp_path / "out.png", inputs=(source,)).check(2)


def test_a_seed_that_names_an_input_is_refused_once_it_is_known(tmp_path: Path) -> None:
    source = tmp_path / "4242.png"
    source.write_bytes(b"")
    destination = Destination(tmp_path / "{seed}.png", inputs=(source,))
    destination.check(1)
    with pytest.raises(BadInput, match="is an input"):
        destination.final_paths([4242])


def test_stdout_takes_one_picture_and_no_json() -> None:
    Destination(Path("-")).check(1)
    with pytest.raises(BadInput):
        Destination(Path("-")).check(2)
    with pytest.raises(BadInput):
        Destination(Path("-")).check(1, as_json=True)


def test_a_terminal_gets_no_png(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    with pytest.raises(BadInput, match="terminal"):
        Destination(Path("-")).check(1)


def test_a_folder_is_no_output(tmp_path: Path) -> None:
    (tmp_path / "out.png").mkdir()
    with pytest.raises(BadInput, match="is a folder"):
        Destination(tmp_path / "out.png").check(1)


@pytest.mark.parametrize("grid", ["out.png", "x/../out.png", "out-2.png"])
def test_the_grid_does_not_replace_a_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, grid: str) -> None:
    monkeypatch.chdir(tmp_path)
    Path("x").mkdir()
    for path in (Path(grid), tmp_path / grid):
        with pytest.raises(BadInput, match="same file"):
            Destination(Path("out.png"), grid=path).check(2)


def test_the_grid_is_compared_with_the_names_of_the_seeds(tmp_path: Path) -> None:
    destination = Destination(tmp_path / "{seed}.png", grid=tmp_path / "5.png")
    with pytest.raises(BadInput, match="same file"):
        destination.check(1, seed=5)
    destination.check(8)  # the seeds are not drawn yet
    with pytest.raises(BadInput, match="same file"):
        destination.final_paths([5])
