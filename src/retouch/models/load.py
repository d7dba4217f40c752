"""Loading a checkpoint by name into a `ModelBundle`."""

import logging
from pathlib import Path

from retouch.models.adapters import attach
from retouch.models.assemble import assemble
from retouch.models.bundle import ModelBundle
from retouch.models.devices import place, use_threads
from retouch.models.folder import load_folder, quiet_loading
from retouch.models.locate import locate
from retouch.models.offload import enable_offload
from retouch.models.options import DEFAULT_OPTIONS, LoadOptions
from retouch.models.single_file import load_single_file

logger = logging.getLogger(__name__)


def load_model(name: str | Path | None = None, options: LoadOptions = DEFAULT_OPTIONS) -> ModelBundle:
    """Load a checkpoint, ready to run.

    Args:
        name: None or `pocket` for the embedded model; a diffusers folder; a single `.safetensors` or `.ckpt`
            file; `org/name[@revision]` on the hub.
        options: device, precision, adapters and what is allowed.
    Raises:
        ModelNotFound: it is not there or not whole.
        ModelUnsafe: a file would run code or lies about sizes.
        ModelUnsupported: it is of a family that retouch does not run.
        InvalidField: the device is not there, or an option is out of its range.
    """
    use_threads(options.threads)
    placement = place(options)
    source = locate(name, options)
    with quiet_loading():
        load = load_single_file if source.is_file else load_folder
        components = attach(load(source.path, options), options)
        bundle = assemble(components, placement, name=source.name, path=source.path)
    if options.offload:
        enable_offload(bundle)
    logger.info("loaded %s (%s, %d px) on %s", bundle.name, bundle.kind, bundle.native_size, bundle.device)
    return bundle
