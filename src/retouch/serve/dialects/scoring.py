"""Rows of a table, each painted for itself: one that fails takes no other with it."""

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from fastapi import Request, Response

from retouch.errors import InvalidField, RetouchError
from retouch.request import InpaintRequest
from retouch.serve.admission import Lease
from retouch.serve.asking import lease_of, payer_of, picture_of, while_connected
from retouch.serve.dialects.entries import Entry, Scored, cells_of, entry, failed, worst
from retouch.serve.dialects.row_requests import RowReader, with_pictures
from retouch.serve.dialects.tables import Row
from retouch.serve.pictures import picture_text
from retouch.serve.service import Service

SEEDS = "X-Retouch-Seeds"
"""Header of an answer: the seed of each entry; `-` where there is no picture."""

Wrap = Callable[[list[Entry]], Any]


class Scorer:
    """Paints the rows of tables."""

    def __init__(self, service: Service) -> None:
        self.service = service

    async def score(self, request: Request, rows: Sequence[Row], parameters: Mapping[str, Any]) -> list[Scored]:
        """Paint all rows, side by side; return what became of each, in their order.

        Raises:
            InvalidField: a parameter is unknown, or the rows ask for more pictures than there is ever room for.
            QueueFull, RateLimited: there is no room for so many rows now.
            Cancelled: the client has gone.
            RetouchError: every row failed; see `worst`.
        """
        settings, limits = self.service.settings, self.service.limits
        reader = RowReader(parameters, len(rows), settings.safety, limits)
        self._check_pictures(request, rows, reader)
        lease = lease_of(request)
        lease.take(rows=len(rows) - 1)
        scored = await while_connected(request, self._all(rows, reader, lease))
        if all(row.error is not None for row in scored) and (error := worst(scored)) is not None:
            raise error
        return scored

    def _check_pictures(self, request: Request, rows: Sequence[Row], reader: RowReader) -> None:
        """Refuse what would be told to come again for ever."""
        settings = self.service.settings
        asked = sum(reader.count(cells_of(row), at) for at, row in enumerate(rows))
        of_a_key = settings.per_key_rows if payer_of(request.scope) is not None else 0
        most = min(settings.max_queued_rows, of_a_key or asked)
        if asked > most:
            wrong = f"{len(rows)} rows ask for {asked} pictures, at most {most} are made at a time"
            raise InvalidField("num_images_per_prompt", wrong, hint="send fewer rows in one request")

    async def answer(self, scored: Sequence[Scored], wrap: Wrap = list) -> Response:
        """Return the answer that holds every row's entries."""
        entries = [entry for row in scored for entry in row.entries]
        # Megabytes of text: not on the loop.
        body = await self.service.aside(lambda: json.dumps(wrap(entries)).encode())
        seeds = ",".join("-" if seed is None else str(seed) for row in scored for seed in row.seeds)
        return Response(body, media_type="application/json", headers={SEEDS: seeds})

    async def _all(self, rows: Sequence[Row], reader: RowReader, lease: Lease) -> list[Scored]:
        async with asyncio.TaskGroup() as together:
            tasks = [together.create_task(self._row(row, at, reader, lease)) for at, row in enumerate(rows)]
        return [task.result() for task in tasks]

    async def _row(self, row: Row, at: int, reader: RowReader, lease: Lease) -> Scored:
        try:
            if isinstance(row, RetouchError):
                raise row
            return await self._painted(await self._request(row, at, reader), lease)
        except RetouchError as error:
            return failed(row, at, reader, error)

    async def _request(self, row: Mapping[str, Any], at: int, reader: RowReader) -> InpaintRequest:
        asked = reader.read(row, at)
        pictures = {name: await picture_of(text, name, self.service) for name, text in asked.pictures.items()}
        return await self.service.aside(with_pictures, asked, pictures, reader.limits)

    async def _painted(self, request: InpaintRequest, lease: Lease) -> Scored:
        result = await self.service.paint(request, lease=lease)
        entries = []
        for index, fill in enumerate(result.fills):
            text = await self.service.aside(picture_text, await self.service.encode(result, index=index))
            entries.append(entry(request.prompt, text, is_flagged=fill.nsfw_content_detected))
        return Scored(entries, list(result.seeds))
