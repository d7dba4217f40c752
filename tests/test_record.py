"""A result's record is complete, tells nothing of the machine, and is read as hostile text."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from retouch.errors import BadInput
from retouch.imaging.metadata import ResultMetadata, read_metadata
from retouch.imaging.parameters import parse_parameters
from retouch.inpainter import Inpainter
from retouch.opened import open_pictures
from retouch.prepare import prepare, settle
from retouch.record import SharedRecord, parse_record, record_of
from retouch.request import DEFAULT_LIMITS, InpaintRequest
from retouch.result import InpaintResult


@pytest.fixture(scope="module")
def result(inpainter: Inpainter) -> InpaintResult:
    image = np.random.default_rng(3).integers(0, 256, (60, 72, 3), dtype=np.uint8)
    mask = np.zeros((60, 72), np.uint8)
    mask[20:44, 20:50] = 255
    return inpainter("a cat, sitting", image, mask, num_inference_steps=1, seed=5, grow_px=2)


def test_a_record_reads_back_as_it_was_written(result: InpaintResult, inpainter: Inpainter) -> None:
    record = parse_record(result.fills[0].metadata.record, DEFAULT_LIMITS)
    assert (record.request.prompt, record.request.seed, record.request.grow_px) == ("a cat, sitting", 5, 2)
    assert np.array_equal(record.mask, result.mask)
    assert record.model_hash == inpainter.bundle.content_hash
    assert record.rows_per_call == 2


def test_other_tools_find_their_own_form(result: InpaintResult) -> None:
    parameters = parse_parameters(result.fills[0].metadata.parameters)
    assert parameters.prompt == "a cat, sitting"
    assert parameters.settings["Seed"] == "5"
    assert parameters.settings["Steps"] == "1"


@pytest.mark.parametrize(
    "change",
    [
        {"format": 99},
        {"request": None},
        {"request": {"image": "/etc/passwd"}},
        {"request": {"prompt": "x", "num_inference_steps": 10**9}},
        {"request": {"prompt": "x", "unknown": 1}},
        {"request": {"prompt": "x", "guidance_scale": 10**400}},
        {"mask": {"width": 10**6, "height": 10**6, "bits": ""}},
        {"mask": 3},
        {"rows_per_call": -1},
        {"model": {}},
        {"model": {"name": "m", "hash": "\x1b]0;x\x07", "adapters": []}},
        {"model": {"name": "m" * 10_000, "hash": "0", "adapters": []}},
        {"model": {"name": "m", "hash": "0", "adapters": ["a"] * 10_000}},
        {"model": {"name": 3, "hash": "0", "adapters": []}},
        {"device": {"type": "\x1b[2J"}},
        {"versions": {"torch": {"deep": 1}}},
        {"input_hash": "a\nb"},
        {"input_bits": "8"},
        {"region": 3},
        {"model": {"name": "m", "hash": "0", "adapters": [], "config": "\x1b[2J"}},
    ],
)
def test_a_forged_record_is_an_error(result: InpaintResult, change: dict[str, Any]) -> None:
    with pytest.raises(BadInput):
        parse_record({**result.fills[0].metadata.record, **change}, DEFAULT_LIMITS)


def test_a_record_of_before_tells_less_and_is_read(result: InpaintResult) -> None:
    record = dict(result.fills[0].metadata.record)
    record["model"] = {name: record["model"][name] for name in ("name", "hash", "adapters")}
    for name in ("region", "input_is_grey", "input_bits"):
        del record[name]
    found = parse_record(record, DEFAULT_LIMITS)
    assert (found.config, found.region, found.input_is_grey, found.input_bits) == ({}, {}, False, 0)


def test_what_a_record_tells_beside_the_known_facts_is_dropped(result: InpaintResult) -> None:
    record = dict(result.fills[0].metadata.record)
    record["device"] = record["device"] | {"\x1b[2J": "x" * 10**6}
    device = parse_record(record, DEFAULT_LIMITS).surroundings["device"]
    assert device.keys() == {"type", "dtype", "vae_dtype", "threads"}


def test_metadata_names_no_folder_of_the_machine(result: InpaintResult, checkpoint: Path, tmp_path: Path) -> None:
    result.save(tmp_path / "result.png")
    data = (tmp_path / "result.png").read_bytes()
    assert str(checkpoint.parent).encode() not in data
    assert isinstance(read_metadata(data), ResultMetadata)


@pytest.mark.parametrize("name", ["clients/acme/model", "../model", "./model"])
def test_a_relative_folder_is_named_without_what_leads_to_it(inpainter: Inpainter, name: str) -> None:
    bundle = replace(inpainter.bundle, name=name, path=Path(name))
    image = np.zeros((32, 32, 3), np.uint8)
    mask = np.full((32, 32), 255, np.uint8)
    request = settle(InpaintRequest("a cat", image, mask), bundle, DEFAULT_LIMITS)
    prepared = prepare(open_pictures(request, DEFAULT_LIMITS), bundle, since=0.0)
    metadata = record_of(SharedRecord.of(prepared, bundle), seed=0, rows_per_call=2)
    assert metadata.record["model"]["name"] == "model"
    assert name not in metadata.parameters


def test_a_hub_checkpoint_keeps_its_name(inpainter: Inpainter) -> None:
    bundle = replace(inpainter.bundle, name="org/model", path=Path("/cache/snapshots/abc"))
    image = np.zeros((32, 32, 3), np.uint8)
    request = settle(InpaintRequest("a cat", image, image + 255), bundle, DEFAULT_LIMITS)
    prepared = prepare(open_pictures(request, DEFAULT_LIMITS), bundle, since=0.0)
    assert (
        record_of(SharedRecord.of(prepared, bundle), seed=0, rows_per_call=2).record["model"]["name"]
        == "org/model"
    )
