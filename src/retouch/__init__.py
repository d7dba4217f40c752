"""Text-guided image inpainting: repaint exactly the masked part of a picture.

The public names load on first use (PEP 562), so that `retouch --help` never pays for torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from retouch.waiting import spin_briefly

__version__ = "0.1.0"

spin_briefly()  # the one thing that is done at import: whoever loads torch next decides it for the process

if TYPE_CHECKING:
    from retouch.inpainter import Inpainter as Inpainter
    from retouch.request import InpaintRequest as InpaintRequest
    from retouch.result import InpaintResult as InpaintResult

_HOMES = {
    "Inpainter": "retouch.inpainter",
    "InpaintRequest": "retouch.request",
    "InpaintResult": "retouch.result",
}
__all__ = ["InpaintRequest", "InpaintResult", "Inpainter", "__version__"]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'retouch' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
