"""From what the user names to a place on disk: the embedded model, a folder, a file or a hub id."""

import re
from contextlib import suppress
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from retouch.errors import ModelNotFound, RetouchError
from retouch.models.layout import WEIGHTED, components_of, find_weights
from retouch.models.options import DEFAULT_OPTIONS, LoadOptions

POCKET = "pocket"
_HUB_ID = re.compile(r"([A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)(?:@([\w./-]+))?")
WEIGHT_SUFFIXES = (".safetensors", ".ckpt", ".bin", ".pt", ".pth")
# Checkpoints that vanished from the hub, and where the same weights are now.
MOVED = {
    "runwayml/stable-diffusion-inpainting": "stable-diffusion-v1-5/stable-diffusion-inpainting",
    "runwayml/stable-diffusion-v1-5": "stable-diffusion-v1-5/stable-diffusion-v1-5",
}


@dataclass(frozen=True, slots=True)
class Source:
    """A checkpoint on disk: a diffusers folder or a single file, and what the user called it."""

    name: str
    path: Path

    @property
    def is_file(self) -> bool:
        return self.path.is_file()


def locate(name: str | Path | None = None, options: LoadOptions = DEFAULT_OPTIONS) -> Source:
    """Find a checkpoint; one on the hub is downloaded if it is not cached and that is allowed.

    Args:
        name: None or `pocket` for the embedded model; a folder; a weight file; `org/name` or
            `org/name@revision` on the hub. A path wins over a hub id of the same spelling.
    Raises:
        ModelNotFound: there is nothing whole under that name; the hint says what to do.
    """
    if name is None or str(name) == POCKET:
        return _pocket()
    path = Path(name)
    with suppress(RuntimeError):  # `~nobody/model`: a name like any other that leads nowhere
        path = path.expanduser()
    with suppress(OSError):  # a name that is too long for a path
        if path.exists():
            return Source(str(name), path)
    match = _HUB_ID.fullmatch(str(name))
    if isinstance(name, Path) or match is None or path.suffix.lower() in WEIGHT_SUFFIXES:
        raise ModelNotFound(
            f"there is no folder or file {str(name)!r}",
            hint="give a diffusers folder, a .safetensors file, a hub id (org/name), or nothing for `pocket`",
        )
    return Source(str(name), find_on_hub(match[1], match[2], options))


def find_on_hub(repository: str, revision: str | None, options: LoadOptions) -> Path:
    """Return the folder of a hub checkpoint in the cache; download what is missing if that is allowed.

    Raises:
        ModelNotFound: it is not whole in the cache, and cannot or may not be fetched.
    """
    from huggingface_hub import constants

    folder, problem = cached(repository, revision, options)
    if folder is not None:
        return folder
    if options.local_files_only or constants.HF_HUB_OFFLINE:
        raise ModelNotFound(
            f"{repository} is not whole in the hub's cache: {problem}",
            hint=_with_mirror(repository, f"while online: retouch models download {repository}"),
        )
    return download(repository, revision, options)


def cached(repository: str, revision: str | None, options: LoadOptions) -> tuple[Path | None, str]:
    """Return a cached checkpoint's folder, or None and what is missing; the network is not touched."""
    from huggingface_hub import snapshot_download

    try:
        folder = Path(
            snapshot_download(repository, revision=revision, cache_dir=options.cache_dir, local_files_only=True)
        )
    except (OSError, ValueError):
        return None, "nothing of it is there"
    try:
        check_whole(folder, options)
    except ModelNotFound as error:
        return None, str(error)
    return folder, ""


def check_whole(folder: Path, options: LoadOptions) -> None:
    """Refuse, by its file names and index alone, a folder that could not be loaded.

    Raises:
        ModelNotFound: a component or its weights are missing.
        ModelUnsafe, ModelUnsupported: as `components_of`.
    """
    for component in components_of(folder) & WEIGHTED.keys():
        find_weights(folder, component, options.variant)


def download(repository: str, revision: str | None, options: LoadOptions) -> Path:
    """Fetch a checkpoint from the hub into its cache: configs, tokenizer, and one set of weights.

    Only the files that retouch reads are fetched, never code, and pickles only where they are allowed.

    Raises:
        ModelNotFound: the hub cannot be reached, has no such checkpoint, or wants a login.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError

    def fetch(patterns: list[str]) -> Path:
        return Path(
            snapshot_download(repository, revision=revision, cache_dir=options.cache_dir, allow_patterns=patterns)
        )

    try:
        folder = fetch(["*.json", "*/*.json", "*/*.txt", "LICENSE*", "README.md"])
        for component in sorted(components_of(folder) & WEIGHTED.keys()):
            for patterns in _weight_patterns(component, options):
                folder = fetch(patterns)
                if _has_weights(folder, component, options.variant):
                    break
            else:
                find_weights(folder, component, options.variant)
    except RetouchError:
        raise
    except (OSError, ValueError, HfHubHTTPError) as error:
        reason = str(error).strip().partition("\n")[0][:200]
        hint = "check the name, the network, and for gated models a login (HF_TOKEN)"
        raise ModelNotFound(
            f"{repository} cannot be downloaded: {reason}", hint=_with_mirror(repository, hint)
        ) from error
    return folder


def _weight_patterns(component: str, options: LoadOptions) -> list[list[str]]:
    safe, pickle = WEIGHTED[component]
    variants = dict.fromkeys((options.variant, None, "fp16"))
    order = []
    for stem, suffix in ((safe, "safetensors"), (pickle, "bin"))[: 2 if options.allow_pickle else 1]:
        for variant in variants:
            tag = f".{variant}" if variant else ""
            order.append([f"{component}/{stem}{tag}.{suffix}", f"{component}/{stem}{tag}-?????-of-?????.{suffix}"])
    return order


def _has_weights(folder: Path, component: str, variant: str | None) -> bool:
    try:
        find_weights(folder, component, variant)
    except ModelNotFound:
        return False
    return True


def _pocket() -> Source:
    folder = Path(str(files("retouch.models") / POCKET))
    if not (folder / "model_index.json").is_file():
        raise ModelNotFound(
            "this installation carries no embedded model",
            hint="install a released wheel, or name a checkpoint with --model (a folder, a file or a hub id)",
        )
    return Source(POCKET, folder)


def _with_mirror(repository: str, hint: str) -> str:
    mirror = MOVED.get(repository)
    return f"{repository} was removed from the hub; the same weights are at {mirror}" if mirror else hint
