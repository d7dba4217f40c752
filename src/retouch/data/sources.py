"""The packages that pictures come from: names, licences, and how each is fetched."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Client = Literal["npm", "apt", "own"]
LicencePolicy = Literal["permissive", "all"]

PERMISSIVE = frozenset({"MIT", "Apache-2.0", "BSD-3-Clause", "CC0-1.0", "CC-BY-4.0", "public domain"})


@dataclass(frozen=True, slots=True)
class Source:
    """One package.

    `client` says which ordinary client fetches it (`npm pack`, `apt-get download`, or none for
    what the project draws itself); `archive` is a glob for the downloaded file.
    """

    key: str
    client: Client
    package: str
    version: str
    archive: str
    licence: str
    title: str

    @property
    def is_permissive(self) -> bool:
        """Whether pictures may be adapted and combined without copyleft."""
        return self.licence in PERMISSIVE


SOURCES: dict[str, Source] = {
    source.key: source
    for source in (
        Source(
            "fluent",
            "npm",
            "@lobehub/fluent-emoji-3d",
            "1.1.0",
            "lobehub-fluent-emoji-3d-*.tgz",
            "MIT",
            "Fluent Emoji, 3D style (Microsoft)",
        ),
        Source(
            "pmndrs",
            "npm",
            "@pmndrs/assets",
            "1.7.0",
            "pmndrs-assets-*.tgz",
            "CC0-1.0",
            "Poly Haven panoramas, packaged by Poimandres",
        ),
        Source(
            "blender",
            "apt",
            "blender-data",
            "3.4.1+dfsg-2",
            "blender-data_*.deb",
            "CC0-1.0",
            "Poly Haven panoramas, packaged with Blender",
        ),
        Source(
            "openclipart",
            "apt",
            "openclipart-svg",
            "1:0.18+dfsg-19",
            "openclipart-svg_*.deb",
            "public domain",
            "Open Clip Art Library",
        ),
        Source(
            "tuxpaint",
            "apt",
            "tuxpaint-stamps-default",
            "2022.06.04-1",
            "tuxpaint-stamps-default_*.deb",
            "GPL-2.0-or-later",
            "Tux Paint stamps",
        ),
        Source("drawn", "own", "retouch", "", "", "Apache-2.0", "solids drawn by this project"),
    )
}


def allowed(policy: LicencePolicy) -> dict[str, Source]:
    """Return the sources that a licence policy admits."""
    return {k: s for k, s in SOURCES.items() if policy == "all" or s.is_permissive}
