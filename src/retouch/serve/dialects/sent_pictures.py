"""Pictures that came as texts: base64, or addresses where the deployer lets some be fetched."""

from collections.abc import Awaitable, Callable
from functools import partial

from retouch.errors import UrlRefused
from retouch.serve.fetch import Fetcher, FetchLimits
from retouch.serve.pictures import is_url, picture_bytes
from retouch.serve.service import Service

Fetch = Callable[[str], Awaitable[bytes]]


class SentPictures:
    """Makes bytes of what clients send for pictures."""

    def __init__(self, service: Service, *, fetch: Fetch | None) -> None:
        """Fetch addresses by `fetch`; None refuses them."""
        self._service = service
        self._fetch = fetch

    async def read(self, text: str, *, field: str) -> bytes:
        """Return the bytes of a picture.

        Args:
            text: what was sent; never a path.
            field: its name in errors.
        Raises:
            InvalidField, ImageError: it is no base64, or too long.
            UrlRefused, UrlFailed: it is an address that is not fetched from, or gave nothing.
        """
        if is_url(text):
            if self._fetch is None:
                hint = "send the picture itself in base64"
                raise UrlRefused(f"{field}: pictures are not fetched here", hint=hint)
            return await self._fetch(text)
        return await self._service.aside(partial(picture_bytes, text, field=field, limits=self._service.limits))


def fetch_of(service: Service) -> Fetch | None:
    """Return what fetches from the hosts that the deployer listed; None where there are none."""
    hosts = service.settings.picture_hosts
    return Fetcher(hosts, limits=FetchLimits(size_bytes=service.limits.image_bytes)).fetch if hosts else None
