"""From the options about model and device to an `Inpainter`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from retouch.cli.limits import limits
from retouch.models.locate import check_whole, locate
from retouch.models.options import DtypeName, LoadOptions, PredictionType

if TYPE_CHECKING:
    from retouch.inpainter import Inpainter
    from retouch.models.bundle import ModelBundle


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Which checkpoint a command wants, and where it shall run.

    Attributes:
        model: a folder, a file or a hub id; None is the embedded model.
        device: a device, or `auto`.
        vae: a VAE file or folder in the place of the checkpoint's own.
        dtype: precision of the UNet and the text encoder, or `auto`.
        vae_dtype: precision of the VAE.
        threads: threads of the CPU; None leaves PyTorch's choice.
        lora: LoRA files as `path` or `path:scale`.
        embedding: textual inversions as `path` or `token=path`.
        allow_pickle: also read pickled weights.
        offline: never ask the hub.
        offload: keep on the device only the part that works.
        config_from: a folder whose configs describe a single-file checkpoint.
        prediction_type: what the UNet predicts; None is its config's, or found out.
        rows_per_call: rows of every call; None leaves it to the default.
    """

    model: str | None = None
    device: str = "auto"
    vae: Path | None = None
    dtype: DtypeName = "auto"
    vae_dtype: DtypeName = "auto"
    threads: int | None = None
    lora: Sequence[str] | None = None
    embedding: Sequence[str] | None = None
    allow_pickle: bool = False
    offline: bool = False
    offload: bool = False
    config_from: Path | None = None
    prediction_type: PredictionType | None = None
    rows_per_call: int | None = None

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Self:
        """Pick the fields out of a command's options."""
        return cls(**{field.name: given[field.name] for field in fields(cls) if field.name in given})

    def load(self, **extra: Any) -> "Inpainter":
        """Load it behind the whole path; this is where torch is imported, once it is known that there is one.

        Args:
            extra: arguments of `Inpainter` that do not follow from these options.
        """
        options = self._known()
        from retouch.engine.settings import EngineSettings
        from retouch.inpainter import Inpainter

        chosen: dict[str, Any] = {"limits": limits()}
        if self.rows_per_call is not None:
            chosen["settings"] = EngineSettings(rows_per_call=self.rows_per_call)
        return Inpainter.load(self.model, options=options, **(chosen | extra))

    def check(self) -> None:
        """Find out whether there is such a checkpoint, before anything heavy is imported.

        Raises:
            ModelError: there is none, or not the whole of it.
        """
        self._known()

    def load_bundle(self) -> "ModelBundle":
        """Load the checkpoint alone."""
        options = self._known()
        from retouch.models.load import load_model

        return load_model(self.model, options)

    def _known(self) -> LoadOptions:
        """The options of loading, once it is known that there is a checkpoint."""
        options = LoadOptions(
            device=self.device,
            dtype=self.dtype,
            vae_dtype=self.vae_dtype,
            threads=self.threads,
            allow_pickle=self.allow_pickle,
            local_files_only=self.offline,
            offload=self.offload,
            config_from=self.config_from,
            prediction_type=self.prediction_type,
            vae=self.vae,
            loras=tuple(self.lora or ()),
            embeddings=tuple(self.embedding or ()),
        )
        source = locate(self.model, options)
        if not source.is_file:
            check_whole(source.path, options)
        return options
