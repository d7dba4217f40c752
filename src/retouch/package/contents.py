"""What every package holds: the checkpoint without a pickle, this package's own code, and what it needs."""

import re
import shutil
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from retouch.errors import BadInput, ModelUnsafe
from retouch.models.layout import components_of, named_files, weights_of
from retouch.models.locate import locate
from retouch.models.options import LoadOptions

SOURCE = Path(__file__).parents[1]
_BESIDE = ("model_index.json", "retouch.json", "README.md")
_LICENCES = ("LICEN[CS]E*", "NOTICE*", "*LICEN[CS]E.*")
_CONFIGS = (".json", ".txt", ".gz")
_EXTRAS = ("", "azure")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_EXTRA = re.compile(r"""extra\s*==\s*['"]([\w-]+)['"]""")


def find_checkpoint(model: str | None, options: LoadOptions) -> Path:
    """Return the folder of a checkpoint that can be packed.

    Raises:
        ModelNotFound: there is none.
        ModelUnsafe: its weights are pickles.
        BadInput: it is a single file, whose tokenizer and configs are elsewhere.
    """
    source = locate(model, options)
    if source.is_file:
        raise BadInput(
            f"{source.path.name} is a single file, and a package holds whole checkpoints",
            hint="name a folder in diffusers' layout, or a hub id",
        )
    for component, weights in weights_of(source.path, components_of(source.path), options.variant).items():
        if weights.is_pickle:
            raise ModelUnsafe(f"{component} is a pickle, and a package holds none", hint="save it as safetensors")
    return source.path


def copy_checkpoint(folder: Path, target: Path, options: LoadOptions) -> None:
    """Copy what `load_model` reads of a checkpoint, with its licence and card, and nothing beside."""
    components = components_of(folder)
    chosen = dict(named_files(weights_of(folder, components, options.variant)))
    for path in (path for pattern in (*_BESIDE, *_LICENCES) for path in folder.glob(pattern) if path.is_file()):
        chosen[path.name] = path
    for component in components:
        configs = (path for path in (folder / component).iterdir() if path.suffix in _CONFIGS)
        chosen |= {f"{component}/{path.name}": path for path in configs}
    for name, path in sorted(chosen.items()):
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target / name)


def copy_code(target: Path) -> None:
    """Copy this package's code and tables, without its own checkpoint, so that a package needs no registry."""
    skipped = shutil.ignore_patterns("__pycache__", "*.safetensors", "*.pyc")
    shutil.copytree(SOURCE, target / "retouch", ignore=skipped)
    # Its versions and requirements are asked for where it runs, too.
    info = target / f"retouch-{metadata.version('retouch')}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(metadata.distribution("retouch").read_text("METADATA") or "", encoding="utf-8")


def requirements() -> list[str]:
    """Return what the code needs, content safety included, in the versions that are installed here."""
    return sorted({_pinned(name) for name in _required()})


def _required() -> Iterator[str]:
    for line in metadata.requires("retouch") or ():
        extra = _EXTRA.search(line)
        name = _NAME.match(line)
        if name is not None and (extra[1] if extra else "") in _EXTRAS:
            yield name[0]


def _pinned(name: str) -> str:
    try:
        # A build's own tag (2.13.0+cpu) names no release.
        return f"{name}=={metadata.version(name).partition('+')[0]}"
    except metadata.PackageNotFoundError:
        return name
