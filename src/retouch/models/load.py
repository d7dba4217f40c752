"""Loading a checkpoint by name into a `ModelBundle`."""

import logging
from pathlib import Path

import torch

from retouch.errors import InvalidField, MissingExtra, ModelError, ModelUnsafe
from retouch.models.adapters import attach
from retouch.models.assemble import assemble, bound_tokens, check_fit
from retouch.models.bundle import ModelBundle
from retouch.models.components import Components
from retouch.models.devices import place, use_threads
from retouch.models.folder import load_folder, quiet_loading
from retouch.models.guarded import guarded
from retouch.models.hashing import identities
from retouch.models.locate import Source, locate
from retouch.models.offload import enable_offload
from retouch.models.options import DEFAULT_OPTIONS, LoadOptions
from retouch.models.schedulers import resolve_scheduler
from retouch.models.single_file import load_single_file
from retouch.models.unmap import unmap
from retouch.models.vae import replace_vae
from retouch.request import DEFAULT_NUM_INFERENCE_STEPS

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
    with guarded(f"{source.path.name} cannot be loaded"), quiet_loading():
        components = _read(source, options)
        bundle = assemble(components, placement, name=source.name, path=source.path)
        _check_unchanged(source, components)
        _check_scheduler(bundle)
        if options.offload:
            enable_offload(bundle)
    logger.info("loaded %s (%s, %d px) on %s", bundle.name, bundle.kind, bundle.native_size, bundle.device)
    return bundle


def load_components(name: str | Path | None = None, options: LoadOptions = DEFAULT_OPTIONS) -> Components:
    """Load a checkpoint's parts to the CPU in fp32, for those who change the weights.

    Args:
        name: as `load_model` takes it.
        options: files, adapters and what is allowed; device and precision are not looked at.
    Raises:
        ModelNotFound, ModelUnsafe, ModelUnsupported: as `load_model`.
    """
    source = locate(name, options)
    with guarded(f"{source.path.name} cannot be loaded"), quiet_loading():
        components = _read(source, options)
        check_fit(components)
        bound_tokens(components)
        for module in (components.unet, components.vae, components.text_encoder, components.safety_checker):
            if module is not None:
                unmap(module)
        _check_unchanged(source, components)
    return components


def _read(source: Source, options: LoadOptions) -> Components:
    load = load_single_file if source.is_file else load_folder
    components = load(source.path, options)
    if options.vae is not None:
        components = replace_vae(components, options)
    return attach(components, options)


def _check_unchanged(source: Source, components: Components) -> None:
    """Once the weights are off their files: they are those that were checked and hashed."""
    if identities(components.files) != components.files:
        raise ModelError(f"{source.path.name} changed while it was loaded", hint="load it again")


def _check_scheduler(bundle: ModelBundle) -> None:
    """Build the checkpoint's own scheduler once: what its config says wrong is an error now, not of a request."""
    with guarded(f"the checkpoint's {bundle.scheduler_class} cannot be used", hint="see scheduler_config.json"):
        try:
            spec = resolve_scheduler(None, bundle)
        except (InvalidField, MissingExtra):
            return  # of a class that does not run here; requests can name another
        scheduler = spec.build()
        scheduler.set_timesteps(DEFAULT_NUM_INFERENCE_STEPS)
        for name in ("alphas_cumprod", "sigmas", "timesteps"):
            table = getattr(scheduler, name, None)
            if isinstance(table, torch.Tensor) and not table.isfinite().all():
                raise ModelUnsafe(
                    f"the checkpoint's {bundle.scheduler_class} has {name} that are not finite",
                    hint="its betas in scheduler_config.json are no noise schedule",
                )
