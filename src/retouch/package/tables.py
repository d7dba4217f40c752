"""The rows of one table through an inpainter, where there is no server: for scripts that others' servers call."""

import asyncio
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from retouch.errors import RetouchError
from retouch.inpainter import Inpainter
from retouch.request import InpaintRequest
from retouch.result import InpaintResult
from retouch.safety.azure.settings import PREFIX
from retouch.serve.deployer import check_request, fit_to_send
from retouch.serve.dialects.entries import Scored, cells_of, entry, failed
from retouch.serve.dialects.row_requests import RowReader, with_pictures
from retouch.serve.dialects.tables import Row
from retouch.serve.fetch import Fetcher, FetchLimits
from retouch.serve.pictures import is_url, picture_bytes, picture_text
from retouch.serve.settings import ServeSettings


class TablePainter:
    """Paints tables; each row lives and dies by itself. Usable from several threads.

    Attributes:
        settings: the server's, from the environment: what a deployment sets means the same here as there.
        inpainter: the model.
    """

    def __init__(self, inpainter: Inpainter, settings: ServeSettings) -> None:
        self.inpainter = inpainter
        self.settings = settings

    @classmethod
    def load(cls, checkpoint: str | Path) -> Self:
        """Load a checkpoint with the safeguards that the environment names.

        Raises:
            RetouchError: a setting is wrong, half of content safety is configured, or the model cannot be used.
        """
        settings = ServeSettings.of()
        return cls(Inpainter.load(Path(checkpoint), limits=settings.limits(), **safeguards(settings)), settings)

    def paint(self, rows: Sequence[Row], parameters: Mapping[str, Any]) -> list[Scored]:
        """Return what became of each row, in their order.

        Raises:
            InvalidField: a parameter is unknown.
        """
        reader = RowReader(parameters, len(rows), self.settings.safety, self.inpainter.limits)
        asked = [self._asked(row, at, reader) for at, row in enumerate(rows)]
        results = self.inpainter.map((one for one in asked if isinstance(one, InpaintRequest)), on_error="return")
        outcomes = [one if isinstance(one, RetouchError) else next(results) for one in asked]
        return [
            failed(row, at, reader, outcome) if isinstance(outcome, RetouchError) else self._scored(row, outcome)
            for at, (row, outcome) in enumerate(zip(rows, outcomes, strict=True))
        ]

    def _asked(self, row: Row, at: int, reader: RowReader) -> InpaintRequest | RetouchError:
        if isinstance(row, RetouchError):
            return row
        try:
            asked = reader.read(row, at)
            check_request(asked.request, self.settings)
            pictures = {name: self._picture(text, name) for name, text in asked.pictures.items()}
            return with_pictures(asked, pictures, reader.limits)
        except RetouchError as error:
            return error

    def _picture(self, text: str, field: str) -> bytes:
        if is_url(text) and self.settings.picture_hosts:
            return asyncio.run(self._fetched(text))
        return picture_bytes(text, field=field, limits=self.inpainter.limits)

    async def _fetched(self, url: str) -> bytes:
        # A fetcher's queue belongs to one loop, and here each call has its own.
        limits = FetchLimits(size_bytes=self.settings.image_bytes)
        return await Fetcher(self.settings.picture_hosts, limits=limits).fetch(url)

    def _scored(self, row: Row, result: InpaintResult) -> Scored:
        result, prompt = fit_to_send(result, self.settings), cells_of(row)["prompt"]
        entries = []
        for index, fill in enumerate(result.fills):
            picture = picture_text(result.encode("PNG", index=index, metadata=False))
            entries.append(entry(prompt, picture, is_flagged=fill.nsfw_content_detected))
        return Scored(entries, list(result.seeds))


def asks_content_safety(settings: ServeSettings) -> bool:
    """Tell whether Azure AI Content Safety is to be asked: where any of its variables is set, half a
    configuration included, which is then an error and never a check that is silently off.
    """
    return settings.content_safety or any(name.upper().startswith(PREFIX) for name in os.environ)


def safeguards(settings: ServeSettings) -> dict[str, Any]:
    """Return the arguments of `Inpainter` that a deployment's environment asks for.

    Raises:
        BadInput: the environment does not say how the service is reached.
        MissingExtra: the service's SDK is not installed.
    """
    if not asks_content_safety(settings):
        return {"screen_input": settings.screen_input}
    from retouch.safety.azure.content_safety import guards
    from retouch.safety.azure.settings import ContentSafetySettings

    return guards(ContentSafetySettings.from_environment())
