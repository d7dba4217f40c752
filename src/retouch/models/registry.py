"""What checkpoints are at hand: the embedded one, the hub's cache, folders of the user's."""

import math
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from retouch.errors import ModelError, ModelNotFound, RetouchError
from retouch.models import locate as places
from retouch.models.assemble import geometry, prediction_type
from retouch.models.bundle import Kind
from retouch.models.checks import safetensors_header, weight_format
from retouch.models.components import read_notes
from retouch.models.folder import read_scheduler
from retouch.models.guarded import guarded
from retouch.models.hashing import hash_files
from retouch.models.layout import components_of, named_files, read_json, weights_of
from retouch.models.options import DEFAULT_OPTIONS, LoadOptions, PredictionType
from retouch.models.schemas import check_config
from retouch.models.single_file import CONV_IN


@dataclass(frozen=True, slots=True)
class Entry:
    """A checkpoint that can be named, and whether it is for inpainting (`concat`).

    `native_size` is None for single files, which do not tell it.
    """

    name: str
    path: Path
    kind: Kind
    native_size: int | None


@dataclass(frozen=True, slots=True)
class Description:
    """What there is to know about a checkpoint without loading it.

    Attributes:
        parameters: numbers in each component's weights; empty where they are no safetensors.
        content_hash: the hash that results record; reading it for the first time reads the whole checkpoint.
        words: how many words a small model knows; None for open vocabulary.
    """

    name: str
    path: Path
    kind: Kind
    native_size: int
    size_multiple: int
    prediction_type: PredictionType
    scheduler: str
    content_hash: str
    parameters: dict[str, int]
    words: int | None
    licence: str


def list_models(
    folders: Iterable[Path] = (), options: LoadOptions = DEFAULT_OPTIONS
) -> tuple[list[Entry], list[str]]:
    """List the checkpoints at hand: `pocket`, whole ones in the hub's cache, and those in some folders.

    Args:
        folders: each may be a checkpoint itself or hold checkpoints and weight files.
    Returns:
        The entries, and one line for each candidate that cannot be used, with the reason.
    """
    entries, problems = [], []
    for name, path in _candidates(folders, options):
        try:
            with guarded("it cannot be read"):
                entries.append(_entry(name, path))
        except RetouchError as error:
            problems.append(f"{name}: {error}")
    return entries, problems


def describe(name: str | Path | None = None, options: LoadOptions = DEFAULT_OPTIONS) -> Description:
    """Describe a checkpoint in folder layout by its configs and file headers; no weights are loaded.

    Raises:
        ModelNotFound, ModelUnsafe, ModelUnsupported: as `load_model`.
    """
    source = places.locate(name, options)
    if source.is_file:
        raise ModelError(
            f"{source.path.name} is a single file, which holds no description", hint="load it to see what it is"
        )
    with guarded(f"{source.path.name} cannot be read"):
        return _described(source.name, source.path, options)


def _described(name: str, folder: Path, options: LoadOptions) -> Description:
    shape = geometry(*_configs(folder))
    scheduler = read_scheduler(folder)
    weights = weights_of(folder, components_of(folder), options.variant)
    notes = read_notes(folder)
    return Description(
        name=name,
        path=folder,
        kind=shape.kind,
        native_size=shape.native_size,
        size_multiple=shape.size_multiple,
        prediction_type=prediction_type(scheduler),
        scheduler=str(scheduler["_class_name"]),
        content_hash=hash_files(named_files(weights).items()),
        parameters={part: _parameters(found.files) for part, found in weights.items() if not found.is_pickle},
        words=None if notes.vocabulary is None else len(notes.vocabulary),
        licence=notes.licence,
    )


def _candidates(folders: Iterable[Path], options: LoadOptions) -> Iterator[tuple[str, Path]]:
    with suppress(ModelNotFound):  # an installation without it is no problem to report
        yield places.POCKET, places.locate(None, options).path
    yield from _cached_on_hub(options)
    for folder in folders:
        if (folder / "model_index.json").is_file():
            yield str(folder), folder
        elif folder.is_dir():
            yield from ((str(path), path) for path in sorted(folder.iterdir()) if _may_be_checkpoint(path))


def _may_be_checkpoint(path: Path) -> bool:
    try:
        is_weights = path.is_file() and path.suffix.lower() in places.WEIGHT_SUFFIXES
        return is_weights or (path / "model_index.json").is_file()
    except OSError:  # not readable: whoever lists it is told so
        return True


def _cached_on_hub(options: LoadOptions) -> Iterator[tuple[str, Path]]:
    from huggingface_hub import CacheNotFound, scan_cache_dir

    try:
        cache = scan_cache_dir(options.cache_dir)
    except CacheNotFound:
        return
    for repository in sorted(cache.repos, key=lambda repo: repo.repo_id):
        newest = max(repository.revisions, key=lambda revision: revision.last_modified, default=None)
        if repository.repo_type == "model" and newest and (newest.snapshot_path / "model_index.json").is_file():
            yield repository.repo_id, Path(newest.snapshot_path)


def _entry(name: str, path: Path) -> Entry:
    if path.is_dir():
        components_of(path)
        shape = geometry(*_configs(path))
        return Entry(name, path, shape.kind, shape.native_size)
    if weight_format(path) != "safetensors":
        raise ModelError("a pickle; it can be loaded with --allow-pickle")
    conv_in = safetensors_header(path).get(CONV_IN)
    if conv_in is None or conv_in.shape[1] not in (4, 9):
        raise ModelError("no Stable Diffusion checkpoint of one file")
    return Entry(name, path, "concat" if conv_in.shape[1] == 9 else "blend", None)


@dataclass(frozen=True, slots=True)
class _Config:
    """The fields of a UNet's or VAE's config that its geometry needs."""

    in_channels: int = 4
    latent_channels: int = 4
    block_out_channels: tuple[int, ...] = ()
    sample_size: int | list[int] | None = None


def _configs(folder: Path) -> tuple[_Config, _Config]:
    return _config(folder, "unet"), _config(folder, "vae")


def _config(folder: Path, component: str) -> _Config:
    values = check_config(component, read_json(folder / component / "config.json"))
    # Of asymmetric and tiny VAEs diffusers takes the decoder's widths for both.
    spellings = ("block_out_channels", "up_block_out_channels", "decoder_block_out_channels")
    widths = next((values[name] for name in spellings if name in values), ())
    known = {key: value for key, value in values.items() if key in _FIELDS}
    return _Config(**known | {"block_out_channels": widths})


_FIELDS = frozenset(_Config.__dataclass_fields__)


def _parameters(files: Iterable[Path]) -> int:
    return sum(math.prod(info.shape) for file in files for info in safetensors_header(file).values())
