"""The packages that pictures come from: names, licences, and how each is fetched."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Client = Literal["npm", "apt", "own"]
LicencePolicy = Literal["permissive", "all"]

PERMISSIVE = frozenset(
    {
        *("MIT", "Apache-2.0", "BSD-3-Clause", "CC0-1.0", "public domain"),
        *("CC-BY-2.0", "CC-BY-2.5", "CC-BY-3.0", "CC-BY-4.0"),
    }
)


@dataclass(frozen=True, slots=True)
class Source:
    """One package.

    `client` says which ordinary client fetches it (`npm pack`, `apt-get download`, or none for
    what the project draws itself); `archive` is a glob for the downloaded file; `folder` is the
    only part of it that is unpacked; `licence` is the package's own, a picture may name another.
    """

    key: str
    client: Client
    package: str
    version: str
    archive: str
    folder: str
    licence: str
    title: str


SOURCES: dict[str, Source] = {
    source.key: source
    for source in (
        Source(
            key="fluent",
            client="npm",
            package="@lobehub/fluent-emoji-3d",
            version="1.1.0",
            archive="lobehub-fluent-emoji-3d-*.tgz",
            folder="package/assets",
            licence="MIT",
            title="Fluent Emoji, 3D style (Microsoft)",
        ),
        Source(
            key="pmndrs",
            client="npm",
            package="@pmndrs/assets",
            version="1.7.0",
            archive="pmndrs-assets-*.tgz",
            folder="package/hdri",
            licence="CC0-1.0",
            title="Poly Haven panoramas, packaged by Poimandres",
        ),
        Source(
            key="blender",
            client="apt",
            package="blender-data",
            version="3.4.1+dfsg-2",
            archive="blender-data_*.deb",
            folder="usr/share/blender/datafiles/studiolights/world",
            licence="CC0-1.0",
            title="Poly Haven panoramas, packaged with Blender",
        ),
        Source(
            key="openclipart",
            client="apt",
            package="openclipart-svg",
            version="1:0.18+dfsg-19",
            archive="openclipart-svg_*.deb",
            folder="usr/share/openclipart/svg",
            licence="public domain",
            title="Open Clip Art Library",
        ),
        Source(
            key="tuxpaint",
            client="apt",
            package="tuxpaint-stamps-default",
            version="2022.06.04-1",
            archive="tuxpaint-stamps-default_*.deb",
            folder="usr/share/tuxpaint/stamps",
            licence="GPL-2.0-or-later",
            title="Tux Paint stamps",
        ),
        Source(
            key="noto",
            client="npm",
            package="@svgmoji/noto",
            version="3.2.0",
            archive="svgmoji-noto-*.tgz",
            folder="package/sprites",
            licence="Apache-2.0",
            title="Noto Emoji (Google), packaged by KickJump",
        ),
        Source(
            key="gcompris",
            client="apt",
            package="gcompris-qt-data",
            version="3.1-2",
            archive="gcompris-qt-data_*.deb",
            folder="usr/share/gcompris-qt/rcc",
            licence="GPL-3.0-or-later",
            title="Photographs from Wikimedia Commons, packaged with GCompris",
        ),
        Source(
            key="lomiri",
            client="apt",
            package="lomiri-wallpapers-16.04",
            version="20.04.0-2",
            archive="lomiri-wallpapers-16.04_*.deb",
            folder="usr/share/backgrounds",
            licence="CC-BY-SA-4.0",
            title="Lomiri wallpapers",
        ),
        Source(
            key="endless",
            client="apt",
            package="endless-sky-data",
            version="0.9.8-1.2",
            archive="endless-sky-data_*.deb",
            folder="usr/share/games/endless-sky/images/land",
            licence="GPL-3.0-or-later",
            title="Photographs of landscapes, packaged with Endless Sky",
        ),
        Source(
            key="drawn",
            client="own",
            package="retouch",
            version="",
            archive="",
            folder="",
            licence="Apache-2.0",
            title="Solids and grounds drawn by this project",
        ),
    )
}


def admits(policy: LicencePolicy, licence: str) -> bool:
    """Whether a policy admits pictures of a licence.

    'permissive' leaves out every copyleft licence: GPL, CC-BY-SA and GFDL pictures cannot be
    combined in one adapted picture.
    """
    return policy == "all" or licence in PERMISSIVE
